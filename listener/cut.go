package listener

import (
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Cut closes the connections that still use a generation, has codecs of several
// streams say goodbye, and tells how many it closed.
func (s *Set) Cut(g *flow.Generation) (n int) {
	for _, sock := range s.all() {
		sock.open.each(func(c *conn) {
			switch b := c.Bound(); {
			case c.Many():
				c.Farewell()
			case b != nil && b.Generation == g:
				n++
				go func() { // closing may wait for who uses the descriptor
					if !c.CloseIfIdle() {
						_ = c.Conn.Conn.Close()
					}
				}()
			}
		})
	}
	return n
}

// CutOlder closes the connections of several streams that were accepted before a
// moment.
func (s *Set) CutOlder(than time.Time) (n int) {
	for _, sock := range s.all() {
		sock.open.each(func(c *conn) {
			if c.Many() && c.Accepted.Before(than) {
				n++
				go func() { _ = c.Conn.Conn.Close() }()
			}
		})
	}
	return n
}

// all gives the sockets on which connections may be open.
func (s *Set) all() []*Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := append([]*Socket(nil), s.retiring...)
	for _, sock := range s.current {
		out = append(out, sock)
	}
	return out
}
