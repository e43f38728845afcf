package matcher

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Method is `method`: the request's method.
var Method = Module{
	Spec: spec.Word{
		Name: "method", In: spec.InHTTPSite,
		Doc:     "The method of the request; case counts (RFC 9110 §9.1)",
		Example: "@write method POST PUT PATCH DELETE",
		Args:    []spec.Arg{{Name: "METHOD", Kind: spec.String, Variadic: true, Doc: "a method; any of them"}},
	},
	New: func(args []config.Value) (Matcher, error) {
		out := method{}
		for i := range args {
			t := args[i].Text
			if up := strings.ToUpper(t); up != t && standardMethod(up) {
				return nil, at(args[i].Range, fmt.Errorf("the method %q never comes: write %s", t, up))
			}
			out = append(out, t)
		}
		return out, nil
	},
}

func standardMethod(m string) bool {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return true
	default:
		return false
	}
}

type method []string

func (m method) Match(x *flow.Exchange) bool {
	for _, s := range m {
		if s == x.Req.Method {
			return true
		}
	}
	return false
}
