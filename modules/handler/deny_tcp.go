package handler

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// DenyTCP is `deny` in tcp sites: the stream is closed without a word.
var DenyTCP = StreamModule{
	Spec: spec.Word{
		Name: "deny", In: spec.InTCPSite, Matcher: true, Answers: true, Repeat: true, Example: "deny @strangers",
		Doc: "Closes the stream",
	},
	New: func(*config.Node, *Env) (StreamHandler, error) { return denyStream{}, nil },
}

type denyStream struct{}

func (denyStream) HandleConn(_ *flow.Conn, r *flow.Record) bool {
	r.Terminate('P', byte(flow.PhaseRequest))
	return true
}
