package matcher

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// ALPN is `alpn`: the application protocols that a TLS client offers.
var ALPN = Module{
	Spec: spec.Word{
		Name: "alpn", In: spec.InTCPSite,
		Doc:     "An application protocol that a TLS client offers (RFC 7301), such as h2 or http/1.1",
		Example: "@web alpn h2 http/1.1",
		Args:    []spec.Arg{{Name: "PROTOCOL", Kind: spec.Pattern, Variadic: true, Doc: "a protocol's name; any of them"}},
	},
	NewConn: func(args []config.Value) (ConnMatcher, error) {
		ps, err := NewPatterns(args, false)
		if err != nil {
			return nil, err
		}
		return alpn{ps}, nil
	},
}

type alpn struct{ names *Patterns }

func (m alpn) MatchConn(c *flow.Conn) Verdict {
	if c.TLS != nil { // terminated here: what was agreed on
		return verdict(m.names.MatchString(c.TLS.ALPN))
	}
	if c.Hello == nil {
		return NeedMore
	}
	for _, p := range c.Hello.ALPN {
		if m.names.MatchString(p) {
			return Yes
		}
	}
	return No
}
