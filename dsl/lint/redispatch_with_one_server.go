package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var redispatchWithOneServer = &Rule{Name: "redispatch-with-one-server", Severity: diag.Info, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		n := config.Last(pool.Body, "retry")
		if n == nil || len(servers(pool)) != 1 {
			return
		}
		if o := written(n, "redispatch"); o != nil && o.Text(0) != "off" {
			_ = p.report(o.Range, "the only server of this pool cannot be followed by another one")
		}
	})
}}
