package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var matcherAlwaysTrue = &Rule{Name: "matcher-always-true", Severity: diag.Info, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		p.eachTest(s, func(e *config.Expr, negated bool) {
			if !alwaysTrue(e) {
				return
			}
			so := ""
			if negated {
				so = ", so its `not` never is"
			}
			d := p.report(e.Range, "this condition is true for every request%s", so)
			help(d, "a directive without a matcher takes everything")
		})
	})
}}
