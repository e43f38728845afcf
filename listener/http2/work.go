package http2

import (
	"runtime/debug"

	"github.com/loadstar-lb/loadstar/listener/flow"
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
		c.workers.Add(1)
		if c.idlers > 0 {
			c.idlers--
			c.work <- s
		} else {
			go c.worker(s)
		}
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

// worker serves streams until the connection has none for a while. A busy
// connection keeps as many as it can use: a new one pays for the growth of its stack.
func (c *conn) worker(s *stream) {
	for s != nil {
		c.serve(s)
		c.mu.Lock()
		if c.failed != nil || c.idlers >= c.streams || c.running == 0 && c.away > 0 {
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
	x := &s.x
	b := s.fc.Pin()
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
		x.DropHooks()
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
