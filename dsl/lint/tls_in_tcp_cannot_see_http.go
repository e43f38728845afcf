package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var tlsInTCPCannotSeeHTTP = &Rule{Name: "tls-in-tcp-cannot-see-http", Severity: diag.Info, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		var stream *use
		for i := range p.users[pool.Name] {
			u := &p.users[pool.Name][i]
			if !u.site.TCP {
				return
			}
			stream = u
		}
		if stream == nil || persistCookie(pool) != nil {
			return
		}
		for _, s := range servers(pool) {
			if o := s.Option("cookie"); o != nil {
				d := p.report(o.Range, "cookies cannot be seen here: %s passes its streams through untouched", stream.site.Name)
				label(d, stream.node.Range, "used by a tcp site")
				help(d, "no cookies, headers or paths can be seen inside TLS; to use them, terminate it in an https:// site")
				help(d, "to keep a client on its server all the same, write `balance source`")
				return
			}
		}
	})
}}
