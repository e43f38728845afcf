package matcher

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Host is `host`: the host that the request names.
var Host = Module{
	Spec: spec.Word{
		Name: "host", In: spec.InHTTPSite,
		Doc:     "The host of the request, without port, in lower case",
		Long:    "`*.example.com` matches every name below example.com, at any depth, but not example.com itself.",
		Example: "@shop host shop.example.com *.shop.example.com",
		Args: []spec.Arg{{Name: "HOST", Kind: spec.Pattern, Variadic: true,
			Doc: "a host name, a glob, or ~ and an RE2 expression; any of them"}},
	},
	New: func(args []config.Value) (Matcher, error) {
		for i := range args {
			if t := args[i].Text; !strings.HasPrefix(t, "~") && strings.ContainsAny(t, "/@ ") {
				return nil, at(args[i].Range, fmt.Errorf("%q is no host name", t))
			} else if h, _, ok := strings.Cut(t, ":"); ok && !strings.HasPrefix(t, "~") && strings.Count(t, ":") == 1 {
				return nil, at(args[i].Range, fmt.Errorf("`host` does not look at the port; write %q, and `port` for the port we listen on", h))
			}
		}
		ps, err := NewPatterns(args, true)
		if err != nil {
			return nil, err
		}
		return host{ps}, nil
	},
}

type host struct{ *Patterns }

func (m host) Match(x *flow.Exchange) bool { return m.Patterns.Match(x.Req.Host) }
