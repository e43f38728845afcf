package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var proxyProtocolFromAnyone = &Rule{Name: "proxy-protocol-from-anyone", Severity: diag.Error, check: func(p *Pass) {
	const advice = "name the addresses of your own load balancers only: `proxy_protocol from 10.0.0.0/8`"
	p.eachSite(func(s *config.Site) {
		for _, n := range config.Find(s.Body, "proxy_protocol") {
			from := n.Option("from")
			if from == nil {
				if onlyUnix(s) {
					continue
				}
				help(p.report(n.Range, "`proxy_protocol` names nobody who sends the header"), advice)
				continue
			}
			for i := range from.Args {
				v := &from.Args[i]
				net, ok := network(v.Text)
				if !ok || net.Bits() >= 8 || net.Addr().Is6() && net.Bits() >= 4 {
					continue
				}
				help(p.report(v.Range, "%s takes in most of the Internet, and anybody there could claim any address in a PROXY header", v.Text), advice)
			}
		}
	})
}}

// onlyUnix reports whether a site is served at unix sockets only, where no peer
// has an address.
func onlyUnix(s *config.Site) bool {
	for i := range s.Addresses {
		if s.Addresses[i].Path == "" {
			return false
		}
	}
	return len(s.Addresses) > 0
}
