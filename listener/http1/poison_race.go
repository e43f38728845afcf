//go:build race

package http1

// poison overwrites what the exchange lent, so that whoever kept a view of it
// past End fails loudly under the race detector.
func (s *session) poison() {
	fill(s.buf[:s.r])
	fill(s.buf[s.w:])
	fill(s.answer.out[:cap(s.answer.out)])
}

func fill(p []byte) {
	for i := range p {
		p[i] = 0xdb
	}
}
