package lint

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var serverTimeoutBelowCheck = &Rule{Name: "server-timeout-below-check", Severity: diag.Info, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		limits := optionsNamed(pool.Body, "timeout", "first_byte")
		if len(limits) == 0 || limits[0].Int(0) == 0 {
			return
		}
		for _, n := range config.Find(pool.Body, "health") {
			o := written(n, "timeout")
			if o == nil || n.Variant == "agent" || o.Int(0) <= limits[0].Int(0) {
				continue
			}
			d := p.report(o.Range, "a server may answer its probe within %s and so count as up, but requests are given up after %s",
				time.Duration(o.Int(0)), time.Duration(limits[0].Int(0)))
			label(d, limits[0].Range, "requests wait this long")
		}
	})
}}
