package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var sourceClientWithoutCapability = &Rule{Name: "source-client-without-capability", Severity: diag.Warning, Here: true, check: func(p *Pass) {
	if p.Env.AnySource() {
		return
	}
	say := func(n *config.Node) {
		if n == nil || n.Text(0) != "client" {
			return
		}
		help(p.report(n.Range, "this user may not connect from the addresses of clients: every connection to these servers will fail"),
			"run with the capability: setcap cap_net_admin=+ep, AmbientCapabilities= of systemd")
	}
	p.eachPool(func(pool *config.Pool) {
		say(config.Last(pool.Body, "source"))
		for _, s := range servers(pool) {
			say(s.Option("source"))
		}
	})
}}
