package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var sourceHashBehindProxy = &Rule{Name: "source-hash-behind-proxy", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		n := config.Last(pool.Body, "balance")
		if n == nil || n.Variant != "source" {
			if n = config.Last(pool.Body, "persist"); n == nil || n.Variant != "source" {
				return
			}
		}
		for _, u := range p.users[pool.Name] {
			why := p.behindProxy(u.site)
			if why == "" {
				continue
			}
			d := p.report(n.Range, "all clients of %s may seem to have one address, and would share one server", u.site.Name)
			help(d, "%s, and no `trusted_proxies` say whose X-Forwarded-For counts", why)
			label(d, u.node.Range, "used here")
			return
		}
	})
}}

// behindProxy tells why a site surely has another proxy before it, "" if it does
// not, or knows its clients all the same.
func (p *Pass) behindProxy(s *config.Site) string {
	if s.TCP || config.Last(s.Body, "trusted_proxies") != nil || config.Last(s.Body, "proxy_protocol") != nil {
		return ""
	}
	if n := config.Last(s.Body, "forwardfor"); n != nil && n.Text(0) == "append" {
		return "`forwardfor append` says that a proxy stands in front"
	}
	bound := binds(s)
	local := len(bound) > 0
	for _, v := range bound {
		local = local && loopback(v.Text)
	}
	for i := range s.Addresses {
		if a := &s.Addresses[i]; a.Path == "" && !local && !strings.HasPrefix(a.Text, "unix/") {
			return ""
		}
	}
	return "the site listens on this machine only, so a proxy stands in front"
}
