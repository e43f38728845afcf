package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var sameMatcher = &Rule{Name: "same-matcher", Severity: diag.Info, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		seen := map[string]*config.Matcher{}
		for i := range s.Matchers {
			m := &s.Matchers[i]
			var b strings.Builder
			outline(&b, &m.Expr)
			if first, ok := seen[b.String()]; ok && first.Range != m.Range && first.Name != m.Name {
				d := p.report(m.Range, "@%s and @%s are the same condition", first.Name, m.Name)
				label(d, first.Range, "the first one")
				continue
			}
			seen[b.String()] = m
		}
	})
}}

// outline writes an expression so that equal ones are equal texts.
func outline(b *strings.Builder, e *config.Expr) {
	b.WriteByte("tao!"[e.Op])
	b.WriteString(e.Word)
	for i := range e.Args {
		b.WriteByte(0)
		b.WriteString(e.Args[i].Text)
	}
	b.WriteByte('(')
	for i := range e.Kids {
		outline(b, &e.Kids[i])
	}
	b.WriteByte(')')
}
