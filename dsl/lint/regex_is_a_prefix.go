package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var regexIsAPrefix = &Rule{Name: "regex-is-a-prefix", Severity: diag.Info, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		p.eachTest(s, func(e *config.Expr, _ bool) {
			if e.Word != "path" && e.Word != "url" && e.Word != "host" {
				return
			}
			for i := range e.Args {
				v := &e.Args[i]
				glob, ok := asGlob(v.Text)
				if !ok {
					continue
				}
				d := p.report(v.Range, "the regular expression %q says no more than a glob does", v.Text)
				help(d, "write %s, which is found without walking the routes", glob)
				if p.raw(v.Range) == v.Text {
					fix(d, "write "+glob, v.Range, glob)
				}
			}
		})
	})
}}

// asGlob gives the glob of an anchored expression without any sign in it.
func asGlob(text string) (string, bool) {
	lit, ok := strings.CutPrefix(text, "~^")
	if !ok {
		return "", false
	}
	lit, whole := strings.CutSuffix(lit, "$")
	if lit == "" || strings.ContainsAny(lit, `\.+*?()|[]{}^$#" `) {
		return "", false
	}
	if whole {
		return lit, true
	}
	return lit + "*", true
}
