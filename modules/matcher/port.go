package matcher

import (
	"fmt"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Port is `port`: the port that the client connected to.
var Port = Module{
	Spec: spec.Word{
		Name: "port", In: spec.InSite,
		Doc:     "The port that the client connected to (not the one its Host field names)",
		Example: "@alt port 8080 8443",
		Args:    []spec.Arg{{Name: "PORT", Kind: spec.Port, Variadic: true, Doc: "a port; any of them"}},
	},
	New: func(args []config.Value) (Matcher, error) {
		p, err := newPorts(args)
		if err != nil {
			return nil, err
		}
		return p, nil
	},
	NewConn: func(args []config.Value) (ConnMatcher, error) {
		p, err := newPorts(args)
		if err != nil {
			return nil, err
		}
		return p, nil
	},
}

func newPorts(args []config.Value) (ports, error) {
	var out ports
	for i := range args {
		n := args[i].Int
		if n < 1 || n > 65535 {
			return nil, at(args[i].Range, fmt.Errorf("%q is no port", args[i].Text))
		}
		out = append(out, uint16(n))
	}
	return out, nil
}

type ports []uint16

func (m ports) MatchConn(c *flow.Conn) Verdict { return verdict(m.has(c)) }

func (m ports) Match(x *flow.Exchange) bool { return m.has(x.Conn) }

func (m ports) has(c *flow.Conn) bool {
	local := c.Local.Port()
	for _, p := range m {
		if p == local {
			return true
		}
	}
	return false
}
