package flow

import "runtime/debug"

// Panicked ends the exchange in which something panicked: the client gets a 500
// or a cut answer, and the exchange is logged. Codecs call it. What the exchange
// borrowed is then to be given back to nobody, for goroutines that the panic left
// behind may still use it.
func (x *Exchange) Panicked() {
	fault := &Error{Side: SideProxy, Phase: PhaseRequest, Status: 500, Cause: "panic"}
	guard(func() {
		if x.Started() {
			fault.Phase = PhaseData
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

// Catch tells Caught of a panic that was recovered from, and where it came from: it
// is to be called by the deferred function that has recovered.
func (c *Conn) Catch(p any) {
	if f := c.Caught; f != nil {
		guard(func() { f(p, debug.Stack()) })
	}
}

// guard keeps what is done for a panicked exchange from panicking again.
func guard(f func()) {
	defer func() { _ = recover() }()
	f()
}
