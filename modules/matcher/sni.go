package matcher

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// SNI is `sni`: the server name that a TLS client asks for.
var SNI = Module{
	Spec: spec.Word{
		Name: "sni", In: spec.InTCPSite,
		Doc:     "The server name that a TLS client asks for, read without terminating TLS",
		Long:    "A stream that is not TLS, or names no server, has the empty name, which only `*` and expressions match.",
		Example: "@mail sni mail.example.com *.mail.example.com",
		Args: []spec.Arg{{Name: "NAME", Kind: spec.Pattern, Variadic: true,
			Doc: "a host name, a glob, or ~ and an RE2 expression; any of them"}},
	},
	NewConn: func(args []config.Value) (ConnMatcher, error) {
		ps, err := NewPatterns(args, true)
		if err != nil {
			return nil, err
		}
		return sni{ps}, nil
	},
}

type sni struct{ names *Patterns }

func (m sni) MatchConn(c *flow.Conn) Verdict {
	switch {
	case c.TLS != nil:
		return verdict(m.names.MatchString(c.TLS.ServerName))
	case c.Hello != nil:
		return verdict(m.names.MatchString(c.Hello.ServerName))
	default:
		return NeedMore
	}
}
