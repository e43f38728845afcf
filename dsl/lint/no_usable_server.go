package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var noUsableServer = &Rule{Name: "no-usable-server", Severity: diag.Error, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		all := servers(pool)
		for _, s := range all {
			if !s.Has("disabled") && (s.Option("weight") == nil || s.OptionInt("weight") > 0) {
				return
			}
		}
		if len(all) == 0 {
			return // modules/pool says so
		}
		d := p.report(pool.Range, "no server of this pool can be chosen: each is disabled or has the weight 0")
		for _, s := range all {
			label(d, s.Range, "not to be chosen")
		}
	})
}}
