package handler

import (
	"slices"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/pool"
)

// Monitor is `monitor`: whether a balancer in front of this one should send anything
// here (HAProxy's monitor-uri and monitor fail).
var Monitor = Module{
	Spec: spec.Word{
		Name: "monitor", In: spec.InHTTPSite, Matcher: true, Answers: true, Repeat: true,
		Doc: "Tells a balancer in front of this one whether to send anything here",
		Long: "It answers 200 while each of the pools has a usable server, backups among them, and 503 when one has none. It also answers 503 from the " +
			"moment that the process is told to stop: with `grace … delay 10s` connections are still taken for so long, which gives the balancer in front " +
			"time to see it. It is not logged, for it is asked every second or so.",
		Example: "monitor /lb-health web api",
		Args: []spec.Arg{
			{Name: "POOL", Kind: spec.PoolRef, Optional: true, Variadic: true, Doc: "a pool that must have a usable server; without any, all that the site proxies to"},
		},
		Options: []spec.Word{{Name: "logged", Doc: "have it logged all the same"}},
	},
	New: func(n *config.Node, env *Env) (flow.Handler, error) {
		h := &monitor{stopping: env.Stopping, logged: n.Has("logged")}
		names := n.Texts(0)
		if len(names) == 0 {
			names = proxiedPools(env.Site.Body, nil)
		}
		for _, name := range names {
			h.pools = append(h.pools, watched{env.Pool(name), []byte("pool " + name + " has no usable server\n")})
		}
		return h, nil
	},
}

// proxiedPools gives the pools that a block proxies to, once each.
func proxiedPools(body []config.Node, names []string) []string {
	for i := range body {
		n := &body[i]
		if n.Word == "proxy" && !slices.Contains(names, n.Text(0)) {
			names = append(names, n.Text(0))
		}
		if n.Word == "handle" {
			names = proxiedPools(n.Body, names)
		}
	}
	return names
}

type watched struct {
	*pool.Pool
	failing []byte // what is answered when it has no usable server
}

type monitor struct {
	pools    []watched
	stopping func() bool // nil: nothing runs
	logged   bool
}

var (
	monitorReady    = []byte("ready\n")
	monitorStopping = []byte("stopping\n")
)

// Handle answers; the flags are those of HAProxy's monitor requests.
func (h *monitor) Handle(x *flow.Exchange) (bool, error) {
	x.Record.Silent = !h.logged
	x.Record.Terminate('L', 'R')
	status, body := 200, monitorReady
	for i := range h.pools {
		if active, backup := h.pools[i].Usable(); active+backup == 0 {
			status, body = 503, h.pools[i].failing
			break
		}
	}
	if h.stopping != nil && h.stopping() {
		status, body = 503, monitorStopping
	}
	x.Resp.Header.Add("Cache-Control", "no-store")
	return true, x.Respond(status, "text/plain; charset=utf-8", body)
}
