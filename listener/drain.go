package listener

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/loadstar-lb/loadstar/listener/sock"
)

const (
	// drainTick is how often a drain looks at what is still open.
	drainTick = 20 * time.Millisecond
	// patience is how long an idle connection is left open for a request that may
	// be on its way: it is then answered with "Connection: close" instead of being
	// lost. A quarter of the grace, if that is less.
	patience = time.Second
	// lastWait is how long connections may take to end after they were cut.
	lastWait = time.Second
)

// Shutdown stops accepting on all sockets, lets exchanges and streams end, closes
// idle connections, and cuts what is left when ctx ends. It tells how many it
// cut.
func (s *Set) Shutdown(ctx context.Context) (cut int) {
	s.mu.Lock()
	for _, sock := range s.current {
		s.dismiss(sock)
	}
	clear(s.current)
	all := s.retiring
	s.retiring = nil
	s.mu.Unlock()

	wait := patience
	if by, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(by)/4)
	}
	idleFrom := time.Now().Add(wait)
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for !ended(all) {
		select {
		case <-ctx.Done():
			cut = cutAll(all)
			awaitEnd(all, lastWait)
			return cut
		case now := <-tick.C:
			if now.After(idleFrom) {
				closeIdle(all)
			}
		}
	}
	return 0
}

func ended(all []*Socket) bool {
	for _, s := range all {
		if !s.ended.Load() {
			return false
		}
	}
	return true
}

// closeIdle closes connections without an exchange, unless bytes of one have
// arrived that nobody has read yet.
func closeIdle(all []*Socket) {
	for _, s := range all {
		s.open.each(func(c *conn) {
			switch _, secured := c.Conn.Conn.(*tls.Conn); {
			case c.unread():
			case secured: // its goodbye may wait for a client that reads nothing
				go c.CloseIfIdle()
			default:
				c.CloseIfIdle()
			}
		})
	}
}

func (c *conn) unread() bool {
	nc := c.Conn.Conn
	if c.Socket != nil { // beneath TLS
		nc = c.Socket
	}
	rc := sock.Raw(nc)
	if rc == nil {
		return false
	}
	var n int
	_ = rc.Control(func(fd uintptr) { n, _ = sock.Buffered(fd) })
	return n > 0
}

// cutAll closes every connection. Closing can wait for whoever uses the
// descriptor at the moment, so each is closed on its own.
func cutAll(all []*Socket) (n int) {
	for _, s := range all {
		s.open.each(func(c *conn) {
			n++
			go func() { _ = c.Conn.Conn.Close() }()
		})
	}
	return n
}

func awaitEnd(all []*Socket, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	for _, s := range all {
		select {
		case <-s.done:
		case <-t.C:
			return
		}
	}
}
