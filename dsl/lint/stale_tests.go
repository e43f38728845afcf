package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var staleTest = &Rule{Name: "stale-test", Severity: diag.Warning, check: func(p *Pass) {
	if len(p.Config.Tests) == 0 {
		return
	}
	names := map[string][]string{"pool": nil, "site": nil, "server": nil}
	p.eachPool(func(pool *config.Pool) {
		names["pool"] = append(names["pool"], pool.Name)
		for _, s := range servers(pool) {
			names["server"] = append(names["server"], s.Text(0), pool.Name+"/"+s.Text(0))
		}
	})
	p.eachSite(func(s *config.Site) { names["site"] = append(names["site"], s.Name) })
	known := map[string]bool{}
	for kind, list := range names {
		for _, n := range list {
			known[kind+" "+n] = true
		}
	}
	for i := range p.Config.Tests {
		for j := range p.Config.Tests[i].Options {
			n := &p.Config.Tests[i].Options[j]
			list, kind := names[n.Variant], n.Variant
			if len(n.Args) == 0 || known[kind+" "+n.Text(0)] || kind != "pool" && kind != "site" && kind != "server" {
				continue
			}
			d := p.report(n.Args[0].Range, "this test can no longer pass: there is no %s %q", kind, n.Text(0))
			if near := diag.Nearest(n.Text(0), list); near != "" {
				help(d, "did you mean %q?", near)
			}
		}
	}
}}
