//go:build race

package transport

// poison overwrites what the answer lent; see the same in listener/http1.
func (w *work) poison() {
	for i := range w.buf {
		w.buf[i] = 0xdb
	}
}

func (s *stream) poison() {
	for _, p := range [...][]byte{s.head.arena[:cap(s.head.arena)], s.in[:cap(s.in)], s.body.view[:cap(s.body.view)]} {
		for i := range p {
			p[i] = 0xdb
		}
	}
}

func (s *strand) poison() {
	for _, p := range [...][]byte{s.head.arena[:cap(s.head.arena)], s.in} {
		for i := range p {
			p[i] = 0xdb
		}
	}
}
