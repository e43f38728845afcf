package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var timeoutInfinite = &Rule{Name: "timeout-infinite", Severity: diag.Warning, check: func(p *Pass) {
	p.timeouts(p.Config.Process)
	p.eachSite(func(s *config.Site) { p.timeouts(s.Body) })
	p.eachPool(func(pool *config.Pool) {
		p.timeouts(pool.Body)
		for _, s := range servers(pool) {
			p.timeouts(s.Options)
		}
	})
}}

func (p *Pass) timeouts(body []config.Node) {
	for _, n := range config.Find(body, "timeout") {
		for i := range n.Options {
			o := &n.Options[i]
			if o.Defaulted || n.Defaulted || len(o.Args) == 0 || o.Int(0) != 0 {
				continue
			}
			d := p.report(o.Range, "`timeout %s 0s` waits for ever: whoever keeps silent keeps a connection", o.Word)
			help(d, "write a long time instead, as in `timeout %s 1h`", o.Word)
		}
	}
}
