package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var httplogDisk = &Rule{Name: "httplog-disk", Severity: diag.Info, check: func(p *Pass) {
	look := func(body []config.Node) {
		for _, n := range config.Find(body, "log") {
			if n.Variant == "file" && !n.Has("rotate") && !strings.HasPrefix(n.Text(0), "/dev/") {
				d := p.report(n.Range, "a line for each exchange grows this file until the disk is full")
				help(d, "write `rotate`, or have logrotate rename it (Loadstar notices, or tell it by SIGUSR1), and say so: # %s httplog-disk REASON", pragmaMark)
			}
		}
	}
	look(p.Config.Process)
	p.eachSite(func(s *config.Site) { look(s.Body) })
}}
