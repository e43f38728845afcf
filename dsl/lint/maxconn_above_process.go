package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var maxconnAboveProcess = &Rule{Name: "maxconn-above-process", Severity: diag.Info, check: func(p *Pass) {
	all := config.Last(p.Config.Process, "maxconn")
	if all == nil {
		return
	}
	p.eachSite(func(s *config.Site) {
		if n := config.Last(s.Body, "maxconn"); n != nil && n.Int(0) > all.Int(0) {
			d := p.report(n.Range, "the process takes %d connections, so this site never comes to %d", all.Int(0), n.Int(0))
			label(d, all.Range, "the limit of the process")
		}
	})
}}
