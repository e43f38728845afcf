package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var sniUnseen = &Rule{Name: "sni-unseen", Severity: diag.Warning, check: func(p *Pass) {
	p.eachPool(func(pool *config.Pool) {
		protocol := probeProtocol(pool)
		if protocol == "" {
			return
		}
		for _, u := range p.users[pool.Name] {
			// Behind TLS that is terminated here the name is known by the time.
			if !u.site.TCP || u.site.Addresses[0].TLS || config.Last(u.site.Body, "starttls") != nil {
				continue
			}
			asked := nameTest(p, u.site)
			if asked == nil {
				continue
			}
			d := p.report(asked.Range, "`%s` sees nothing of clients of %s, whom this site passes on", asked.Word, protocol)
			label(d, u.node.Range, "here")
			if protocol == "PostgreSQL" {
				help(d, "they ask for TLS in clear before they begin with it: write `starttls postgres` in this site")
			} else {
				help(d, "they wait for the server to speak first, and each would wait for `timeout handshake` in vain: give the pool a port of its own")
			}
			return
		}
	})
}}

// probeProtocol names the protocol of a pool's servers by how they are probed, of
// those in which TLS does not come first; "" for others.
func probeProtocol(pool *config.Pool) string {
	for _, n := range config.Find(pool.Body, "health") {
		switch n.Variant {
		case "pgsql":
			return "PostgreSQL"
		case "mysql":
			return "MySQL"
		case "smtp":
			return "SMTP"
		}
	}
	return ""
}

// nameTest finds a test of what stands in a ClientHello, nil if there is none.
func nameTest(p *Pass, s *config.Site) (found *config.Expr) {
	p.eachTest(s, func(e *config.Expr, _ bool) {
		if found == nil && (e.Word == "sni" || e.Word == "alpn") {
			found = e
		}
	})
	return found
}
