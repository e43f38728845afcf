package handler

import (
	"fmt"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// ForwardFor is `forwardfor`: how servers learn who the client is.
var ForwardFor = Module{
	Spec: spec.Word{
		Name: "forwardfor", In: spec.InHTTPSite,
		Doc: "What servers are told of the client; on and safe by default",
		Long: "`on`: X-Forwarded-For, -Proto, -Host, -Port, -Prefix, Forwarded and X-Real-IP are removed unless they come from " +
			"`trusted_proxies`, then X-Forwarded-For, -Proto and -Host are set; behind a trusted proxy its word is kept and its address " +
			"is added to the list. `append`: as if everyone were trusted (HAProxy's `option forwardfor`). `off`: nothing is touched. " +
			"It works for the whole site, wherever it stands.",
		Example: "forwardfor append except 127.0.0.0/8",
		Args: []spec.Arg{{Name: "MODE", Kind: spec.Enum, Words: []string{"on", "off", "append"}, Optional: true, Default: "on",
			Doc: "whom to believe"}},
		Options: []spec.Word{
			{Name: "header", Doc: "another name for X-Forwarded-For",
				Args: []spec.Arg{{Name: "NAME", Kind: spec.HeaderName, Doc: "the field's name"}}},
			{Name: "except", Doc: "peers that no X-Forwarded-For is added for",
				Args: []spec.Arg{{Name: "NETWORK", Kind: spec.Network, Variadic: true, Doc: "a network or an address"}}},
			{Name: "if_none", Doc: "add X-Forwarded-For only where there is none yet"},
		},
	},
	New: func(n *config.Node, env *Env) (flow.Handler, error) {
		f := env.Forwarded
		switch n.Text(0) {
		case "append":
			f.Mode = ForwardAppend
		case "off":
			f.Mode = ForwardOff
		default:
			f.Mode = ForwardOn
		}
		if name := n.OptionText("header"); name != "" {
			if f.id = flow.Lookup(name); !isToken(name) || framing(name) != "" || f.id == flow.FieldHost {
				return nil, fmt.Errorf("%s cannot carry the client's address", name)
			}
			f.Header = name
		}
		f.IfNone = n.Has("if_none")
		if o := n.Option("except"); o != nil {
			var err error
			f.Except, err = matcher.NewNets(o.Args)
			return nil, err
		}
		return nil, nil
	},
}

// TrustedProxies is `trusted_proxies`: whose word on the client counts.
var TrustedProxies = Module{
	Spec: spec.Word{
		Name: "trusted_proxies", In: spec.InHTTPSite,
		Doc: "Proxies in front of Loadstar whose X-Forwarded-For is believed",
		Long: "Behind them the client is the last address of X-Forwarded-For that is no trusted proxy's: `client`, {client.ip} and the log " +
			"mean that address. Name only networks that nobody else can connect from. It works for the whole site, wherever it stands.",
		Example: "trusted_proxies 10.0.0.0/8 192.168.0.0/16",
		Args:    []spec.Arg{{Name: "NETWORK", Kind: spec.Network, Variadic: true, Doc: "a network or an address"}},
	},
	New: func(n *config.Node, env *Env) (flow.Handler, error) {
		nets, err := matcher.NewNets(n.Args)
		env.Forwarded.Trusted = nets
		return nil, err
	},
}
