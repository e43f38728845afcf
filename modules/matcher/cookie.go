package matcher

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Cookie is `cookie`: a cookie of the request.
var Cookie = Module{
	Spec: spec.Word{
		Name: "cookie", In: spec.InHTTPSite,
		Doc:     "A cookie of the request: that it is there, or that its value matches",
		Example: "@member cookie session",
		Args: []spec.Arg{
			{Name: "NAME", Kind: spec.String, Doc: "the cookie's name; case counts (RFC 6265 §5.3)"},
			{Name: "VALUE", Kind: spec.Pattern, Variadic: true, Optional: true, Doc: "patterns of the value; any of them"},
		},
	},
	New: func(args []config.Value) (Matcher, error) {
		name, ps, err := named(args)
		if err != nil {
			return nil, err
		}
		return &cookie{name, ps}, nil
	},
}

type cookie struct {
	name   string
	values *Patterns
}

func (m *cookie) Match(x *flow.Exchange) bool {
	h := &x.Req.Header
	for i := range h.Len() {
		id, _, field, ok := h.At(i)
		if !ok || id != flow.FieldCookie {
			continue
		}
		name, value, rest, ok := flow.NextCookie(field)
		for ; ok; name, value, rest, ok = flow.NextCookie(rest) {
			if string(name) == m.name && (m.values == nil || m.values.Match(value)) {
				return true
			}
		}
	}
	return false
}
