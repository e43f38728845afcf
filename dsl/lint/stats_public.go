package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var statsPublic = &Rule{Name: "stats-public", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		for _, v := range binds(s) {
			if loopback(v.Text) {
				return
			}
		}
		guarded := false
		walk(s.Body, nil, func(n *config.Node, when []*config.Expr) {
			if n.Word == "basic_auth" {
				guarded = true
			}
			if n.Word != "stats" && n.Word != "metrics" || n.Has("auth") || guarded {
				return
			}
			for _, e := range when {
				if narrows(e) {
					return
				}
			}
			d := p.report(n.Range, "everybody may look at `%s`: the names and addresses of all servers, and their load", n.Word)
			if n.Word == "metrics" {
				help(d, "write `basic_auth` above it, give it a matcher such as `client 10.0.0.0/8`, or the site a `bind 127.0.0.1`")
				return
			}
			help(d, "give it a password (`auth USER HASH`), or a matcher such as `client 10.0.0.0/8`")
		})
	})
}}

// narrows reports a condition that says who may come.
func narrows(e *config.Expr) bool {
	found := false
	tests(e, false, func(t *config.Expr, _ bool) { found = found || t.Word == "client" })
	return found
}
