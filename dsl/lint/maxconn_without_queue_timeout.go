package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var maxconnWithoutQueueTimeout = &Rule{Name: "maxconn-without-queue-timeout", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		n := config.Last(pool.Body, "queue")
		if n == nil {
			return
		}
		o := written(n, "timeout")
		if o == nil || o.Int(0) != 0 {
			return
		}
		for _, s := range servers(pool) {
			if s.OptionInt("maxconn") > 0 {
				d := p.report(o.Range, "when the servers are full, requests wait for ever")
				label(d, s.Range, "this server can be full")
				help(d, "write how long a client is to wait at most, as in `queue timeout 5s`")
				return
			}
		}
	})
}}
