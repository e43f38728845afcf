package lint

import (
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var serverIsSelf = &Rule{Name: "server-is-self", Severity: diag.Error, check: func(p *Pass) {
	for i := range p.Config.Pools {
		pool := &p.Config.Pools[i]
		for _, s := range servers(pool) {
			for _, u := range p.users[pool.Name] {
				if p.listensAt(u.site, s) && p.comesBack(u) {
					d := p.report(s.Args[1].Range, "%s is where the site that uses this pool listens: requests would go round in circles", s.Text(1))
					label(d, u.node.Range, "sent from here")
					help(d, "name the address of the server behind, or another port")
					break
				}
			}
		}
	}
}}

// listensAt reports whether a server's address surely is one of the site's.
func (p *Pass) listensAt(site *config.Site, server *config.Node) bool {
	if path, ok := strings.CutPrefix(server.Text(1), "unix/"); ok {
		for i := range site.Addresses {
			if site.Addresses[i].Path == path {
				return true
			}
		}
		return false
	}
	host, port := serverPort(server)
	if port == "" || !p.isOur(host) {
		return false
	}
	for i := range site.Addresses {
		a := &site.Addresses[i]
		if a.Path != "" || strconv.Itoa(int(a.Port)) != port || a.TLS {
			continue
		}
		bound := binds(site)
		if len(bound) == 0 && (a.Scheme != "tcp" || a.Host == "") {
			return true
		}
		if a.Scheme == "tcp" && a.Host == host {
			return true
		}
		for _, v := range bound {
			if v.Text == host || host == "localhost" && loopback(v.Text) {
				return true
			}
		}
	}
	return false
}

// comesBack reports whether what a `proxy` sends would be taken by it again: the
// host stays, unless it or the path is changed on the way; the client does not.
func (p *Pass) comesBack(u use) bool {
	for _, e := range u.when {
		same := true
		tests(e, false, func(t *config.Expr, _ bool) {
			switch t.Word {
			case "host", "path", "url", "method", "query", "sni", "alpn":
			default:
				same = false
			}
		})
		if !same {
			return false
		}
	}
	changed := false
	walk(u.site.Body, nil, func(n *config.Node, _ []*config.Expr) {
		changed = changed || n.Word == "rewrite" || n.Word == "header" && n.Variant == "request"
	})
	return !changed
}
