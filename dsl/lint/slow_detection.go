package lint

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// slowAfter is how long a dead server may go unnoticed without a word.
const slowAfter = 30 * time.Second

var slowDetection = &Rule{Name: "slow-detection", Severity: diag.Info, check: func(p *Pass) {
	p.eachProbe(func(n *config.Node) {
		interval, fall := n.OptionDuration("interval"), n.OptionInt("fall")
		if written(n, "fast_interval") != nil || n.Variant == "agent" {
			return
		}
		if total := interval * time.Duration(fall); total > slowAfter {
			d := p.report(n.Range, "a dead server is noticed after up to %s (fall %d × interval %s)", total, fall, interval)
			help(d, "probe more often, or write `fast_interval` for the time after a first failure")
		}
	})
}}
