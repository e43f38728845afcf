package lint

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// patience is how long a client waits before it gives up: that of browsers and of
// most libraries is no longer.
const patience = 60 * time.Second

var retriesExceedClientTimeout = &Rule{Name: "retries-exceed-client-timeout", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		connect, retries := 5*time.Second, int64(3)
		at := pool.Range
		if found := optionsNamed(pool.Body, "timeout", "connect"); len(found) > 0 {
			connect, at = time.Duration(found[0].Int(0)), found[0].Range
		}
		if n := config.Last(pool.Body, "retry"); n != nil {
			retries = n.Int(0)
			if at == pool.Range {
				at = n.Range
			}
		}
		if total := connect * time.Duration(retries+1); total > patience {
			d := p.report(at, "%d tries of %s each may take %s: by then the client has left", retries+1, connect, total)
			help(d, "servers on one's own network answer within milliseconds; `timeout connect 2s` is plenty")
		}
	})
}}
