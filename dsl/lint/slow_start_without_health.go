package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var slowStartWithoutHealth = &Rule{Name: "slow-start-without-health", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		probed := len(config.Find(pool.Body, "health")) > 0
		for _, s := range servers(pool) {
			o := s.Option("slow_start")
			own := s.Option("health")
			if o == nil || own != nil && own.Variant != "off" || probed && own == nil {
				continue
			}
			d := p.report(o.Range, "this server never starts slowly: without probes it is never seen to come up")
			help(d, "write a `health` directive for the pool or for the server")
		}
	})
}}
