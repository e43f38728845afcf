package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var minconnAboveMaxconn = &Rule{Name: "minconn-above-maxconn", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		for _, s := range servers(pool) {
			low, high := s.Option("minconn"), s.Option("maxconn")
			if low != nil && high != nil && high.Int(0) > 0 && low.Int(0) >= high.Int(0) {
				d := p.report(low.Range, "the limit cannot grow from %d to %d, so minconn does nothing", low.Int(0), high.Int(0))
				label(d, high.Range, "the upper limit")
			}
		}
	})
}}
