package http1

import (
	"fmt"
	"runtime/debug"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// panicked ends the exchange in which something panicked: the client gets a 500
// or a cut answer, the record gets the stack, the connection ends. The process
// goes on. What the exchange borrowed is given back to nobody, for goroutines
// that the panic left behind may still use it.
func (c *conn) panicked(p any) {
	if !c.serving {
		panic(p) // the codec's own fault: whoever accepted the connection decides
	}
	s := c.s
	c.s, c.fd, c.done, c.linger = nil, noFD, true, false
	x := &s.x
	fault := &flow.Error{
		Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 500,
		Cause: "panic", Err: fmt.Errorf("%v\n%s", p, debug.Stack()),
	}
	if x.Started() {
		fault.Phase = flow.PhaseData
	}
	s.answer.keep = false
	guard(func() {
		c.s = s // Responder methods find the answer there
		defer func() { c.s = nil }()
		if x.Started() {
			x.Abort(fault)
			return
		}
		x.Resp.Header.Reset(nil)
		if err := x.Respond(500, "", nil); err != nil {
			x.Abort(fault)
		}
	})
	x.Record.Err = fault
	x.Record.Terminate(fault.Flags())
	guard(x.End)
	c.fc.Idle()
}

// guard keeps what is done for a panicked exchange from panicking again.
func guard(f func()) {
	defer func() { _ = recover() }()
	f()
}
