package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var denyMissesRoot = &Rule{Name: "deny-misses-root", Severity: diag.Info, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		for i := range s.Body {
			n := &s.Body[i]
			if n.Word != "deny" && n.Word != "tarpit" && n.Word != "basic_auth" || n.When == nil || n.When.Op != config.Test || n.When.Word != "path" {
				continue
			}
			for j := range n.When.Args {
				dir, ok := strings.CutSuffix(n.When.Args[j].Text, "/*")
				if !ok || len(dir) < 2 || strings.ContainsAny(dir, `*?\~`) || strings.HasPrefix(dir[strings.LastIndexByte(dir, '/')+1:], ".") {
					continue // nobody serves /.git itself
				}
				if anyPattern(n.When.Args, dir, false) == no && !p.refused(s, dir) {
					d := p.report(n.Range, "`%s` speaks of what lies below %s/, not of %s itself", n.Word, dir, dir)
					help(d, "to take it in, write a matcher with both: path %s %s/*", dir, dir)
				}
			}
		}
	})
}}

// refused reports whether some other directive refuses or answers the path.
func (p *Pass) refused(s *config.Site, path string) bool {
	for i := range s.Body {
		n := &s.Body[i]
		if p.tired() {
			return true
		}
		if n.When != nil && n.Word != "proxy" && n.When.Op == config.Test && n.When.Word == "path" && anyPattern(n.When.Args, path, false) == yes {
			return true
		}
	}
	return false
}
