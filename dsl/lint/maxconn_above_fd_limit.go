package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var maxconnAboveFDLimit = &Rule{Name: "maxconn-above-fd-limit", Severity: diag.Warning, Here: true, check: func(p *Pass) {
	n := config.Last(p.Config.Process, "maxconn")
	limit := p.Env.FileLimit()
	if n == nil || limit == 0 {
		return
	}
	// A proxied connection takes two descriptors: the client's and the server's.
	if need := uint64(n.Int(0)) * 2; need > limit {
		d := p.report(n.Range, "%d connections may need %d descriptors; this process may open %d", n.Int(0), need, limit)
		help(d, "raise the limit (LimitNOFILE= of systemd, ulimit -n), or lower maxconn to %d", limit/2)
	}
}}
