package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var httpCheckOnTCPPool = &Rule{Name: "http-check-on-tcp-pool", Severity: diag.Info, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		users := p.users[pool.Name]
		for _, u := range users {
			if !u.site.TCP {
				return
			}
		}
		for _, n := range config.Find(pool.Body, "health") {
			if n.Variant != "http" || n.Has("tls") || n.Has("port") || len(users) == 0 {
				continue
			}
			for _, s := range servers(pool) {
				if _, port := serverPort(s); port == "443" && !s.Has("health") {
					d := p.report(n.Range, "the probe speaks HTTP in clear to servers that expect TLS: they will all be down")
					label(d, s.Args[1].Range, "a TLS port")
					help(d, "write `health tls`, or give the probe `tls` or a `port` of its own")
					return
				}
			}
		}
	})
}}
