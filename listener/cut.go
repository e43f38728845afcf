package listener

import (
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Cut closes the connections that still use a generation, has codecs of several
// streams say goodbye, and tells the numbers of those that it closed (flow.Conn.ID).
func (s *Set) Cut(g *flow.Generation) (cut []uint64) {
	for _, sock := range s.all() {
		sock.open.each(func(c *conn) {
			switch b := c.Bound(); {
			case c.Many():
				c.Farewell()
			case b != nil && b.Generation == g:
				cut = append(cut, c.ID)
				go func() { // closing may wait for who uses the descriptor
					if !c.CloseIfIdle() {
						_ = c.Conn.Conn.Close()
					}
				}()
			}
		})
	}
	return cut
}

// CutOlder closes the connections of several streams that were accepted before a
// moment, and tells their numbers.
func (s *Set) CutOlder(than time.Time) (cut []uint64) {
	for _, sock := range s.all() {
		sock.open.each(func(c *conn) {
			if c.Many() && c.Accepted.Before(than) {
				cut = append(cut, c.ID)
				go func() { _ = c.Conn.Conn.Close() }()
			}
		})
	}
	return cut
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
