package matcher

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// URL is `url`: the request target as it was received (HAProxy's url).
var URL = Module{
	Spec: spec.Word{
		Name: "url", In: spec.InHTTPSite,
		Doc: "The request target as received, query included and nothing decoded",
		Long: "`url *x*` is HAProxy's `url_sub x`, `url x*` its `url_beg x`. To protect a part of a site use `path`, which " +
			"sees through every way of writing one path.",
		Example: "@acl_example1 url *example1*",
		Args: []spec.Arg{{Name: "URL", Kind: spec.Pattern, Variadic: true,
			Doc: "a target, a glob, or ~ and an RE2 expression; any of them"}},
	},
	New: func(args []config.Value) (Matcher, error) {
		ps, err := NewPatterns(args, false)
		if err != nil {
			return nil, err
		}
		return url{ps}, nil
	},
}

type url struct{ *Patterns }

func (m url) Match(x *flow.Exchange) bool { return m.Patterns.Match(x.Req.Original) }
