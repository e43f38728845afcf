package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var forwardedForForgeable = &Rule{Name: "forwarded-for-forgeable", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		n := config.Last(s.Body, "forwardfor")
		if n == nil || n.Text(0) != "append" || config.Last(s.Body, "trusted_proxies") != nil {
			return
		}
		for _, v := range binds(s) {
			if loopback(v.Text) {
				return
			}
		}
		d := p.report(n.Range, "servers get whatever X-Forwarded-For a client makes up, with its address behind it")
		help(d, "leave `forwardfor` at its default, and name the proxies in front with `trusted_proxies`")
	})
}}
