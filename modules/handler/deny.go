package handler

import (
	"fmt"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Deny is `deny`: a refusal, with the site's error page.
var Deny = Module{
	Spec: spec.Word{
		Name: "deny", In: spec.InHTTPSite, Matcher: true, Answers: true, Repeat: true,
		Doc:     "Refuses the request with the site's error page",
		Long:    "The log shows it with the flags `PR`. `deny /admin/*` refuses what lies below /admin/; name `/admin` too to refuse it.",
		Example: "deny @bad 403",
		Args: []spec.Arg{{Name: "STATUS", Kind: spec.Status, Optional: true, Default: "403",
			Doc: "the status, 400 to 599"}},
	},
	New: func(n *config.Node, _ *Env) (flow.Handler, error) {
		err, bad := refusal(n.Int(0), flow.PhaseRequest, "denied")
		if bad != nil {
			return nil, bad
		}
		return deny{err}, nil
	},
}

// refusal is made once, so that refusing costs nothing.
func refusal(status int64, phase flow.Phase, cause string) (*flow.Error, error) {
	if status < 400 || status > 599 {
		return nil, fmt.Errorf("a refusal has a status from 400 to 599, not %d", status)
	}
	return &flow.Error{Side: flow.SideProxy, Phase: phase, Status: int(status), Cause: cause}, nil
}

type deny struct{ err *flow.Error }

// Handle refuses.
func (h deny) Handle(*flow.Exchange) (bool, error) { return false, h.err }

// Tarpit is `tarpit`: a refusal that keeps the client waiting.
var Tarpit = Module{
	Spec: spec.Word{
		Name: "tarpit", In: spec.InHTTPSite, Matcher: true, Answers: true, Repeat: true,
		Doc: "Keeps the client waiting, then refuses the request",
		Long: "The log shows it with the flags `PT`. A waiting client holds one connection of the site's `maxconn`. " +
			"When the connection is to be drained the wait ends at once.",
		Example: "tarpit @scanner 30s",
		Args: []spec.Arg{
			{Name: "DELAY", Kind: spec.Duration, Optional: true, Default: "10s", Min: int64(time.Millisecond), Max: int64(time.Hour),
				Doc: "how long to wait"},
			{Name: "STATUS", Kind: spec.Status, Optional: true, Default: "500", Doc: "the status, 400 to 599"},
		},
	},
	New: func(n *config.Node, _ *Env) (flow.Handler, error) {
		err, bad := refusal(n.Int(1), flow.PhaseTarpit, "held in a tarpit")
		if bad != nil {
			return nil, bad
		}
		return &tarpit{time.Duration(n.Int(0)), err}, nil
	},
}

type tarpit struct {
	delay time.Duration
	err   *flow.Error
}

// drainPoll is how soon a waiting exchange notices that it is to end.
const drainPoll = 200 * time.Millisecond

// Handle waits on the connection's own goroutine: nothing is left behind.
func (h *tarpit) Handle(x *flow.Exchange) (bool, error) {
	for end := time.Now().Add(h.delay); ; {
		left := time.Until(end)
		if left <= 0 || draining(x.Conn) {
			return false, h.err
		}
		time.Sleep(min(left, drainPoll))
	}
}

func draining(c *flow.Conn) bool {
	if c.Source == nil {
		return false
	}
	b := c.Source.Load()
	return b != nil && b.Draining
}
