package lint

import (
	"regexp"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// nakedDot finds a dot that was meant to be one: between letters, or before what
// looks like the end of a file name or a domain.
var nakedDot = regexp.MustCompile(`(?:^|[\w)\]])\.(?:\w{2,}(?:\$|$|/|\)|\|)|(?:com|net|org|php|html?|js|css|png|jpe?g|gif)\b)`)

var regexUnescapedDot = &Rule{Name: "regex-unescaped-dot", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		p.eachTest(s, func(e *config.Expr, _ bool) {
			for i := range e.Args {
				v := &e.Args[i]
				if len(v.Text) < 2 || v.Text[0] != '~' {
					continue
				}
				if at := nakedDot.FindString(v.Text[1:]); at != "" {
					d := p.report(v.Range, "the dot in %q stands for any character", at)
					help(d, `write \. for a dot, or a glob, in which a dot is a dot`)
				}
			}
		})
	})
}}
