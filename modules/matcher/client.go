package matcher

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Client is `client`: the address of the client.
var Client = Module{
	Spec: spec.Word{
		Name: "client", In: spec.InSite,
		Doc: "The address of the client",
		Long: "Behind a PROXY header it is the address that the header names; behind `trusted_proxies` (HTTP only) the one that " +
			"they pass on in X-Forwarded-For.",
		Example: "@office client 192.0.2.0/24 2001:db8::/32",
		Args:    []spec.Arg{{Name: "NETWORK", Kind: spec.Network, Variadic: true, Doc: "a network or an address; any of them"}},
	},
	New: func(args []config.Value) (Matcher, error) {
		n, err := NewNets(args)
		if err != nil {
			return nil, err
		}
		return client{n}, nil
	},
	NewConn: func(args []config.Value) (ConnMatcher, error) {
		n, err := NewNets(args)
		if err != nil {
			return nil, err
		}
		return client{n}, nil
	},
}

type client struct{ nets *Nets }

func (m client) Match(x *flow.Exchange) bool { return m.nets.Contains(x.Client) }

func (m client) MatchConn(c *flow.Conn) Verdict { return verdict(m.nets.Contains(c.Client.Addr())) }

func verdict(ok bool) Verdict {
	if ok {
		return Yes
	}
	return No
}
