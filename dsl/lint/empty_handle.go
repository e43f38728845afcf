package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var emptyHandle = &Rule{Name: "empty-handle", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		walk(s.Body, nil, func(n *config.Node, _ []*config.Expr) {
			if n.Word == groupWord && len(n.Body) == 0 {
				d := p.report(n.Range, "this `handle` does nothing but keep the other groups from what it matches")
				help(d, "put directives into it, or take it out")
			}
		})
	})
}}
