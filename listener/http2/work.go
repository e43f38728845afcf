package http2

import (
	"github.com/loadstar-lb/loadstar/listener/multi"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// dispatch has what came with the last read served.
func (c *conn) dispatch() {
	if len(c.fresh) == 0 {
		return
	}
	limits := c.fc.Pin().Limits
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = limits
	for i, s := range c.fresh {
		c.fresh[i] = nil
		if s.reset { // by the client, before anybody knew of it
			c.settle(s)
			s.release()
			continue
		}
		s.ready()
		c.workers.Take(s)
	}
	c.fresh = c.fresh[:0]
}

// ready settles what the request's body is, now that more of it may have come.
func (s *stream) ready() {
	s.served = true
	r := &s.x.Req
	if s.fault != nil || len(r.Upgrade) > 0 || r.Method == "CONNECT" {
		return
	}
	if s.remoteEnded && !s.hasTrailer {
		r.ContentLength = s.got
		if s.got == 0 {
			r.Expect = false
		}
	}
	if r.ContentLength != 0 {
		r.Body = (*body)(s)
	}
}

// keeps tells whether one more goroutine is to wait for a stream; c.mu is held.
func (c *conn) keeps(idle int) bool {
	return c.failed == nil && idle < c.streams && (c.running > 0 || c.away == 0)
}

// serve serves one exchange. A panic ends it and nothing else.
func (c *conn) serve(s *stream) {
	good := false
	defer func() {
		if !good {
			c.fc.Catch(recover())
			s.x.Panicked() // what it borrowed is given back to nobody
		}
		c.end(s, good)
	}()
	x := &s.x
	multi.Serve(x, s.fc.Pin().Server, s.fault)
	if s.tunnel != nil {
		s.runTunnel()
	} else {
		c.mu.Lock()
		x.Record.BytesIn = s.received
		c.mu.Unlock()
	}
	x.End()
	good = true
}

// end forgets the stream.
func (c *conn) end(s *stream, good bool) {
	s.fc.Unpin()
	c.mu.Lock()
	if s.dead() == nil && !s.gone {
		s.cut(h2.CodeNone)
		c.flush()
	}
	c.settle(s)
	c.mu.Unlock()
	if good {
		s.release()
	}
}

// settle gives back what a stream holds of its connection; c.mu is held.
func (c *conn) settle(s *stream) {
	s.unqueue()
	c.remove(s, false)
	c.held -= cap(s.head.Arena)
	if n := s.due + len(s.in); n > 0 {
		s.due = 0
		c.credit(n)
		c.kick()
	}
	if c.running--; c.running == 0 {
		c.fc.Idle()
		if c.away > 0 {
			c.wake()
		}
	}
}
