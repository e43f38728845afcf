package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var backupWithoutPrimary = &Rule{Name: "backup-without-primary", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		all := servers(pool)
		for _, s := range all {
			if !s.Has("backup") {
				return
			}
		}
		if len(all) > 0 {
			d := p.report(pool.Range, "every server of this pool is a backup, so only the first one that works is ever used")
			help(d, "take `backup` from those that share the traffic, or write `all_backups`")
		}
	})
}}
