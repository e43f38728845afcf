package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var trustEveryone = &Rule{Name: "trust-everyone", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		for _, n := range config.Find(s.Body, "trusted_proxies") {
			for i := range n.Args {
				v := &n.Args[i]
				net, ok := network(v.Text)
				if !ok || net.Bits() >= 8 || net.Addr().Is6() && net.Bits() >= 4 {
					continue
				}
				d := p.report(v.Range, "%s takes in most of the Internet, and anybody there could claim any address in X-Forwarded-For", v.Text)
				help(d, "name the networks of your own proxies only")
			}
		}
	})
}}
