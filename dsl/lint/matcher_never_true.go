package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var matcherNeverTrue = &Rule{Name: "matcher-never-true", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		for i := range s.Matchers {
			p.contradiction(&s.Matchers[i].Expr)
		}
	})
}}

// contradiction reports two tests that must both hold and never do.
func (p *Pass) contradiction(e *config.Expr) {
	if e.Op == config.And {
		for i := range e.Kids {
			for j := range i {
				a, b := &e.Kids[j], &e.Kids[i]
				if a.Op == config.Test && b.Op == config.Test && disjoint(a, b) {
					d := p.report(b.Range, "a request that fulfils this never fulfils what stands before the `and`")
					label(d, a.Range, "never true together with the other")
					help(d, "two values behind one word mean either: `%s A B`", b.Word)
					return
				}
			}
		}
	}
	for i := range e.Kids {
		p.contradiction(&e.Kids[i])
	}
}
