package http1

import "github.com/loadstar-lb/loadstar/listener/flow"

// panicked ends the exchange in which something panicked: the client gets a 500
// or a cut answer, and the exchange is logged. It does not recover: whoever
// accepted the connection does, and says where the panic came from. What the
// exchange borrowed is given back to nobody, for goroutines that the panic left
// behind may still use it.
func (c *conn) panicked() {
	s := c.s
	c.fd, c.done, c.linger, c.serving = noFD, true, false, false
	x := &s.x
	fault := &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 500, Cause: "panic"}
	s.answer.keep = false
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
	c.s = nil
	c.fc.Idle()
}

// guard keeps what is done for a panicked exchange from panicking again.
func guard(f func()) {
	defer func() { _ = recover() }()
	f()
}
