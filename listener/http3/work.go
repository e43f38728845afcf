package http3

import (
	"runtime/debug"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// dispatch has a stream served.
func (c *conn) dispatch(s *stream) {
	c.workers.Add(1)
	c.mu.Lock()
	idler := c.idlers > 0
	if idler {
		c.idlers--
	}
	c.mu.Unlock()
	if idler {
		c.work <- s
	} else {
		go c.worker(s)
	}
	if c.asleep.CompareAndSwap(true, false) {
		c.wake()
	}
}

// maxIdlers is how many goroutines a connection keeps for its next streams.
const maxIdlers = 32

// worker serves streams until the connection has none for a while.
func (c *conn) worker(s *stream) {
	for s != nil {
		c.serve(s)
		c.mu.Lock()
		if c.idlers >= maxIdlers || c.ctx.Err() != nil {
			c.mu.Unlock()
			c.workers.Done()
			return
		}
		c.idlers++
		c.mu.Unlock()
		c.workers.Done()
		s = <-c.work
	}
}

// dismiss lets idle goroutines go.
func (c *conn) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; c.idlers > 0; c.idlers-- {
		c.work <- nil
	}
}

// serve serves one exchange. A panic ends it and nothing else.
func (c *conn) serve(s *stream) {
	good := false
	defer func() {
		if !good {
			c.panicked(s, recover())
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
	x.Record.Method, x.Record.URI = x.Req.Method, x.Req.Original
	if x.Fault = s.fault; s.fault != nil {
		x.Record.Bad = true
		x.Req.Body = flow.NoBody
	}
	b.Server.ServeExchange(x)
	if s.tunnel != nil {
		s.runTunnel()
	} else {
		if !x.Finished() {
			x.Abort(flow.ErrAborted)
		}
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

// panicked ends the exchange in which something panicked: the client gets a 500
// or a cut answer, and it is logged. What it borrowed is given back to nobody.
func (c *conn) panicked(s *stream, p any) {
	if f := c.fc.Caught; f != nil {
		guard(func() { f(p, debug.Stack()) })
	}
	x := &s.x
	fault := &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 500, Cause: "panic"}
	guard(func() {
		if x.Started() {
			fault.Phase = flow.PhaseData
			x.Abort(fault)
			return
		}
		x.Resp.Header.Reset(nil)
		if x.Respond(500, "", nil) != nil {
			x.Abort(fault)
		}
	})
	x.Record.Err = fault
	x.Record.Terminate(fault.Flags())
	guard(x.End)
}

// guard keeps what is done for a panicked exchange from panicking again.
func guard(f func()) {
	defer func() { _ = recover() }()
	f()
}
