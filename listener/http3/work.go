package http3

import (
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// dispatch has a stream served.
func (c *conn) dispatch(s *stream) {
	c.mu.Lock()
	c.workers.Take(s)
	c.mu.Unlock()
	if c.asleep.CompareAndSwap(true, false) {
		c.wake()
	}
}

// maxIdlers is how many goroutines a connection keeps for its next streams.
const maxIdlers = 32

// keeps tells whether one more goroutine is to wait for a stream; c.mu is held.
func (c *conn) keeps(idle int) bool { return idle < maxIdlers && c.ctx.Err() == nil }

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
	b := s.fc.Pin()
	s.limits = b.Limits
	if s.request() != nil {
		good = true
		return
	}
	x := &s.x
	multi.Serve(x, b.Server, s.fault)
	if s.tunnel != nil {
		s.runTunnel()
	} else {
		x.Record.BytesIn = s.received.Load()
	}
	x.End()
	good = true
}

// end forgets the stream.
func (c *conn) end(s *stream, good bool) {
	s.fc.Unpin()
	if !s.ended {
		s.cut(wire.CodeInternal)
	}
	s.refuse(codeNone) // what still comes is not wanted
	s.q.ReleaseStreamCredit()
	c.mu.Lock()
	last := len(c.open) - 1
	c.open[s.at] = c.open[last]
	c.open[s.at].at = s.at
	c.open[last] = nil
	c.open = c.open[:last]
	c.held -= s.held
	if c.running--; c.running == 0 {
		c.idleSince = flow.Now()
		c.fc.Idle()
		if c.away > 0 || c.draining.Load() {
			c.wake()
		}
	}
	c.mu.Unlock()
	if good {
		s.release()
	}
}
