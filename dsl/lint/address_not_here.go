package lint

import (
	"net/netip"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var addressNotHere = &Rule{Name: "address-not-here", Severity: diag.Warning, Here: true, check: func(p *Pass) {
	ours := p.Env.Addresses()
	if ours == nil {
		return
	}
	look := func(at diag.Range, text string) {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.IsUnspecified() || ip.IsLoopback() {
			return
		}
		for _, o := range ours {
			if o == ip.Unmap() {
				return
			}
		}
		d := p.report(at, "%s is no address of this machine, so nothing can listen there", text)
		help(d, "an address that moves between machines can be listened at with net.ipv4.ip_nonlocal_bind=1")
	}
	p.eachSite(func(s *config.Site) {
		for _, v := range binds(s) {
			look(v.Range, v.Text)
		}
		for i := range s.Addresses {
			if a := &s.Addresses[i]; a.Scheme == "tcp" {
				look(a.Range, a.Host)
			}
		}
	})
}}
