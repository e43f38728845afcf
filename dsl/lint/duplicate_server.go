package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var duplicateServer = &Rule{Name: "duplicate-server", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		first := map[string]*config.Node{}
		for _, s := range servers(pool) {
			before := first[s.Text(1)]
			if before == nil {
				first[s.Text(1)] = s
				continue
			}
			d := p.report(s.Args[1].Range, "%s is in this pool twice", s.Text(1))
			label(d, before.Args[1].Range, "the first time")
			help(d, "for a greater share of the traffic write `weight 2`")
		}
	})
}}
