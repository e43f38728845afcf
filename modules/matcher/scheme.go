package matcher

import (
	"fmt"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Scheme is `scheme`: whether the client speaks TLS to us.
var Scheme = Module{
	Spec: spec.Word{
		Name: "scheme", In: spec.InSite,
		Doc:     "How the client speaks to us: http or https in HTTP sites, tcp or tls (terminated here) in tcp ones",
		Example: "@plain scheme http",
		Args: []spec.Arg{{Name: "SCHEME", Kind: spec.Enum, Words: []string{"http", "https", "tcp", "tls"}, Variadic: true,
			Doc: "a scheme; any of them"}},
	},
	New: func(args []config.Value) (Matcher, error) {
		s, err := newScheme(args, "http", "https")
		if err != nil {
			return nil, err
		}
		return s, nil
	},
	NewConn: func(args []config.Value) (ConnMatcher, error) {
		s, err := newScheme(args, "tcp", "tls")
		if err != nil {
			return nil, err
		}
		return s, nil
	},
}

type scheme struct{ clear, secure bool }

func newScheme(args []config.Value, clear, secure string) (s scheme, err error) {
	for i := range args {
		switch args[i].Text {
		case clear:
			s.clear = true
		case secure:
			s.secure = true
		default:
			return s, at(args[i].Range, fmt.Errorf("here the scheme is %s or %s, never %q", clear, secure, args[i].Text))
		}
	}
	return s, nil
}

func (m scheme) Match(x *flow.Exchange) bool {
	if x.Req.Scheme == "https" {
		return m.secure
	}
	return m.clear
}

func (m scheme) MatchConn(c *flow.Conn) Verdict {
	if c.TLS != nil {
		return verdict(m.secure)
	}
	return verdict(m.clear)
}
