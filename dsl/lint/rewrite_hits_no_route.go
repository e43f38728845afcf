package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var rewriteHitsNoRoute = &Rule{Name: "rewrite-hits-no-route", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		for i := range s.Body {
			n := &s.Body[i]
			if n.Word != "rewrite" || n.Variant != "to" || strings.Contains(n.Text(0), "{") || len(s.Addresses) == 0 {
				continue
			}
			r := requestTo(s, &s.Addresses[0])
			if n.When != nil {
				r.satisfy(n.When)
			}
			from := r
			if eval(n.When, &r) != yes || p.follow(s, s.Body[:i], &r) != falls {
				continue
			}
			if p.follow(s, s.Body[i:], &r) == falls {
				d := p.report(n.Range, "no route below takes %s, which this `rewrite` makes", n.Text(0))
				help(d, "%s gets a 503", from.String())
			}
		}
	})
}}
