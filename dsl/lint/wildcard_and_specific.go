package lint

import (
	"net/netip"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var wildcardAndSpecific = &Rule{Name: "wildcard-and-specific", Severity: diag.Warning, check: func(p *Pass) {
	wide := map[uint16]*config.Address{}
	p.eachOpened(func(a *config.Address, specific bool) {
		if !specific && wide[a.Port] == nil {
			wide[a.Port] = a
		}
	})
	p.eachOpened(func(a *config.Address, specific bool) {
		if other := wide[a.Port]; specific && other != nil {
			d := p.report(a.Range, "port %d is opened at one address here and at all of them elsewhere: what comes to that address goes to this site only", a.Port)
			label(d, other.Range, "opened at all addresses")
			help(d, "give both sites the same `bind`, or different ports")
		}
	})
}}

// eachOpened visits what the sites listen at; specific: at named addresses.
func (p *Pass) eachOpened(visit func(a *config.Address, specific bool)) {
	p.eachSite(func(s *config.Site) {
		bound := len(binds(s)) > 0
		for i := range s.Addresses {
			a := &s.Addresses[i]
			if a.Port == 0 || a.Path != "" {
				continue
			}
			_, err := netip.ParseAddr(a.Host)
			visit(a, bound || a.Scheme == "tcp" && err == nil)
		}
	})
}
