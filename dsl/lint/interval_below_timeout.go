package lint

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var intervalBelowTimeout = &Rule{Name: "interval-below-timeout", Severity: diag.Warning, check: func(p *Pass) {
	p.eachProbe(func(n *config.Node) {
		timeout := written(n, "timeout")
		interval := n.OptionDuration("interval")
		if timeout == nil || interval == 0 || time.Duration(timeout.Int(0)) <= interval {
			return
		}
		d := p.report(timeout.Range, "a probe may take %s, but the next one is due after %s", time.Duration(timeout.Int(0)), interval)
		help(d, "make `timeout` at most as long as `interval`")
	})
}}

// eachProbe visits the `health` directives of pools and of their servers.
func (p *Pass) eachProbe(visit func(*config.Node)) {
	p.eachPool(func(pool *config.Pool) {
		for _, n := range config.Find(pool.Body, "health") {
			visit(n)
		}
		for _, s := range servers(pool) {
			for _, n := range config.Find(s.Options, "health") {
				visit(n)
			}
		}
	})
}
