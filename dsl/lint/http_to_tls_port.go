package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var httpToTLSPort = &Rule{Name: "http-to-tls-port", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		http := false
		for _, u := range p.users[pool.Name] {
			http = http || !u.site.TCP
		}
		if !http || config.Last(pool.Body, "tls") != nil {
			return
		}
		for _, s := range servers(pool) {
			if _, port := serverPort(s); port == "443" && !s.Has("tls") {
				d := p.report(s.Args[1].Range, "requests go to port 443 in clear: a TLS server answers them with an error")
				help(d, "name the server's HTTP port, or pass TLS through untouched in a tcp:// site")
			}
		}
	})
}}
