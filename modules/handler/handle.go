package handler

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Handle is `handle`: a group of directives. That only the first one that
// matches among its siblings runs is the router's doing.
var Handle = Module{
	Spec: spec.Word{
		Name: "handle", In: spec.InHTTPSite, Matcher: true, Repeat: true, Body: spec.InHTTPSite,
		Doc:     "Groups directives; of the groups of one block only the first that matches runs",
		Long:    "What the group does not answer falls through to the directives below it, other groups passed over.",
		Example: "handle /api/* {\n    rewrite strip_prefix /api\n    proxy api\n}",
	},
	New: func(n *config.Node, env *Env) (flow.Handler, error) { return env.Chain(n.Body) },
}
