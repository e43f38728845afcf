package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var catchAllNotLast = &Rule{Name: "catch-all-not-last", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) { p.catchAll(s, s.Body) })
}}

func (p *Pass) catchAll(s *config.Site, body []config.Node) {
	for i := range body {
		n := &body[i]
		if n.Word == groupWord {
			p.catchAll(s, n.Body)
		}
		if n.When != nil || !p.answering(s, n) {
			continue
		}
		if later := p.nextRoute(s, body[i+1:]); later != nil {
			d := p.report(n.Range, "`%s` takes everything, so what stands below it is never reached", n.Word)
			label(d, later.Range, "never reached")
			help(d, "directives run from top to bottom: move this one to the end, or give it a matcher")
		}
		return
	}
}

// nextRoute finds the first directive that would do something with a request.
func (p *Pass) nextRoute(s *config.Site, body []config.Node) *config.Node {
	for i := range body {
		n := &body[i]
		if n.Word == groupWord || n.Word == "rewrite" || n.Word == "header" || p.answering(s, n) {
			return n
		}
	}
	return nil
}
