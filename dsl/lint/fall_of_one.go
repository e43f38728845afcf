package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var fallOfOne = &Rule{Name: "fall-of-one", Severity: diag.Info, check: func(p *Pass) {
	p.eachProbe(func(n *config.Node) {
		if o := written(n, "fall"); o != nil && o.Int(0) == 1 {
			d := p.report(o.Range, "one lost probe takes a server out")
			help(d, "with `fall 2` a single hiccup costs nothing; `fast_interval` keeps detection quick")
		}
	})
}}
