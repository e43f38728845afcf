package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var noHealthCheck = &Rule{Name: "no-health-check", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		if len(config.Find(pool.Body, "health"))+len(config.Find(pool.Body, "passive")) > 0 {
			return
		}
		active := 0
		for _, s := range servers(pool) {
			if s.Has("health") {
				return
			}
			if !s.Has("disabled") {
				active++
			}
		}
		if active < 2 {
			return // there is nobody to turn to
		}
		d := p.report(pool.Range, "nobody looks whether the %d servers of this pool work", active)
		help(d, "write `health http GET /PATH` or `health tcp`; for live traffic alone, `passive`")
	})
}}
