package graph

import (
	"net"
	"slices"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// redirects has port 80 send visitors of a site's names at port 443 there, as Caddy
// does. An http site that has the name keeps it. One for every host has it, too, but
// not against an address without a scheme, which means both ports.
func (b *builder) redirects(cfg *config.Site) {
	if cfg.TCP || b.errs.HasErrors() || !wantsRedirects(cfg) {
		return
	}
	from := config.Site{Name: cfg.Name + " (redirected)", Range: cfg.Range}
	for i := range cfg.Addresses {
		a := cfg.Addresses[i]
		if !a.TLS || a.Port != 443 {
			continue
		}
		a.Scheme, a.Port, a.TLS, a.Automatic = "http", 80, false, false
		if b.vacant(cfg, &a) {
			from.Addresses = append(from.Addresses, a)
		}
	}
	if len(from.Addresses) == 0 {
		return
	}
	for _, n := range cfg.Body {
		if n.Word == "log" || n.Word == "bind" || n.Word == "timeout" {
			from.Body = append(from.Body, n)
		}
	}
	from.Body = append(from.Body, config.Node{Word: "redirect", Range: cfg.Range, Args: []config.Value{
		{Kind: spec.Template, Text: "https://{http.host}{http.uri}", Range: cfg.Range},
		{Kind: spec.Enum, Text: "308", Range: cfg.Range},
	}})
	b.site(&from)
}

// wantsRedirects reads `tls redirect`.
func wantsRedirects(cfg *config.Site) bool {
	return !slices.ContainsFunc(config.Find(cfg.Body, "tls"), func(n *config.Node) bool {
		return n.Text(0) == "off" || n.OptionText("redirect") == "off"
	})
}

// vacant reports whether an address at port 80 is nobody's, at all its sockets.
func (b *builder) vacant(cfg *config.Site, a *config.Address) bool {
	bare := !strings.Contains(a.Text, "://")
	for _, addr := range b.binds(cfg, a) {
		for _, l := range b.graph.Listeners {
			if l.Network != "tcp" || !overlap(l.Address, addr) {
				continue
			}
			if l.first == nil || l.front != nil || l.Address != addr || l.hosts.has(a.Host, !bare) {
				return false
			}
		}
	}
	return true
}

// overlap tells whether two socket addresses have connections in common.
func overlap(a, b string) bool {
	ha, pa, _ := net.SplitHostPort(a)
	hb, pb, _ := net.SplitHostPort(b)
	return pa == pb && (ha == hb || ha == "" || hb == "")
}

// has reports whether a host, or a wildcard it falls under, is entered; any: or
// every host.
func (h *Hosts[T]) has(host string, any bool) bool {
	v := h.Lookup([]byte(host))
	if strings.HasPrefix(host, "*") {
		v = h.wild[host[1:]]
	}
	return v != nil && (any || v != h.fallback)
}
