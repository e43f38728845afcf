package lint

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// slowHeader is how long an honest client may take to send a header.
const slowHeader = time.Minute

var slowHeaderTimeout = &Rule{Name: "slow-header-timeout", Severity: diag.Warning, check: func(p *Pass) {
	look := func(body []config.Node) {
		for _, o := range optionsNamed(body, "timeout", "header") {
			if d := time.Duration(o.Int(0)); d > slowHeader {
				f := p.report(o.Range, "a client may take %s to send one header: a few hundred slow ones fill the process", d)
				help(f, "browsers need well below a second; the default is 10s")
			}
		}
	}
	look(p.Config.Process)
	p.eachSite(func(s *config.Site) { look(s.Body) })
}}
