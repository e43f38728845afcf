package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var privilegedPort = &Rule{Name: "privileged-port", Severity: diag.Warning, Here: true, check: func(p *Pass) {
	if p.Env.LowPorts() {
		return
	}
	p.eachSite(func(s *config.Site) {
		for i := range s.Addresses {
			if a := &s.Addresses[i]; a.Port > 0 && a.Port < 1024 {
				d := p.report(a.Range, "this user may not listen at port %d", a.Port)
				help(d, "run as root, or with the capability: setcap cap_net_bind_service=+ep, AmbientCapabilities= of systemd")
			}
		}
	})
}}
