package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var cookieCacheable = &Rule{Name: "cookie-cacheable", Severity: diag.Info, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		n := persistCookie(pool)
		if n == nil || !n.Has("insert") || n.Has("nocache") || n.Has("post_only") {
			return
		}
		d := p.report(n.Range, "a cache between Loadstar and its clients may keep an answer with one visitor's cookie for all of them")
		help(d, "write `nocache`; answers that carry the cookie are then marked private")
	})
}}
