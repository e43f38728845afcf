//go:build race

package http2

// poison overwrites what the exchange lent, so that whoever kept a view of it
// past End fails loudly under the race detector.
func (s *stream) poison() {
	for _, p := range [...][]byte{s.head.Arena[:cap(s.head.Arena)], s.in[:cap(s.in)], s.view[:cap(s.view)]} {
		for i := range p {
			p[i] = 0xdb
		}
	}
}
