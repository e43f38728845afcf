package handler

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// ProxyArgs are the arguments of `proxy`, in http and in tcp sites.
func ProxyArgs() []spec.Arg {
	return []spec.Arg{{
		Name: "POOL", Kind: spec.PoolRef, Variadic: true,
		Doc: "the name of a pool, or the addresses of the servers of an inline pool",
	}}
}

// proxyOptions are the options of `proxy`, in http and in tcp sites.
func proxyOptions() []spec.Word {
	return []spec.Word{{
		Name: "priority", Doc: "who must wait for a server goes before all of a lower priority",
		Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: -1000, Max: 1000, Doc: "a number; without the option 0"}},
	}}
}

// ProxyHTTP is `proxy` in HTTP sites.
var ProxyHTTP = Module{
	Spec: spec.Word{
		Name: "proxy", In: spec.InHTTPSite, Matcher: true, Answers: true, Repeat: true, Args: ProxyArgs(), Options: proxyOptions(), Body: spec.InPool,
		Doc: "Passes the request to a pool and its answer back",
		Long: "A server is chosen by the pool's `balance`. A try that failed is followed by another as the pool's `retry` allows; " +
			"what cannot be repeated without harm is not.",
		Example: "proxy /api/* 10.0.0.1:80 10.0.0.2:80 {\n    health http GET /ready\n}",
	},
	New: func(n *config.Node, env *Env) (flow.Handler, error) {
		p := env.Pool(n.Text(0))
		return &Proxy{Pool: p, Transport: env.Transport(p), Forwarded: env.Forwarded, Priority: int(n.OptionInt("priority"))}, nil
	},
}
