package http1

import (
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// Under the race detector a view that is kept past the end shows something else.
func TestKeptViewIsPoisoned(t *testing.T) {
	if !flow.Race {
		t.Skip("nothing is poisoned")
	}
	modes(t, func(t *testing.T, plain bool) {
		var kept []byte
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			if kept == nil {
				kept = x.Req.Original
			} else if string(kept) == "/original" { // poison, or what was read over it
				t.Errorf("the kept view still shows %q", kept)
			}
			_ = x.Respond(200, "", nil)
		}), testLimits))
		c := h.dial(t)
		c.send(req("/original")).want(200, "")
		c.send(req("/")).want(200, "")
		_ = c.Close()
		<-h.served
	})
}
