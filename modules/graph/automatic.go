package graph

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/acme"
	"github.com/loadstar-lb/loadstar/modules/certs"
)

// proving is a site whose names an authority must be able to reach.
type proving struct {
	at       diag.Range
	text     string // of the address
	settings *acme.Settings
}

// automatic makes the policy of a site whose certificates are issued. plan may be
// nil: no `tls` stands in the site.
func (b *builder) automatic(cfg *config.Site, own *config.Node, plan *certs.Plan) (*certs.Policy, time.Duration) {
	if plan == nil {
		plan, _ = certs.Read(nil)
	}
	s, found := acme.Read(config.Last(b.cfg.Process, "acme"), own, b.state())
	s.OCSP = plan.OCSP
	b.once(found)
	if found.HasErrors() || !b.issuable(cfg, s) {
		return nil, 0
	}
	hosts := tlsHosts(cfg)
	key := certs.Key{Kind: "acme", What: fmt.Sprintf("%s %q", s.Key(), hosts)}
	source, err := b.issued(s, key, hosts)
	if err != nil {
		b.errs.Add(cfg.Range, "bad-acme", "%v", err)
		return nil, 0
	}
	if b.findings(source.Check(hosts), cfg.Range, nil) {
		return nil, 0
	}
	if a, ok := source.(*acme.Source); ok {
		b.graph.automatic = append(b.graph.automatic, a)
	}
	return b.settled(cfg, plan, source, key), s.Handshake()
}

// issued lends where a site's issued certificates come from. The Manager is lent to
// each generation, not only to the one that makes the source: it must not go before.
func (b *builder) issued(s *acme.Settings, key certs.Key, hosts []string) (certs.Source, error) {
	if b.Dry {
		return certs.StandIn(s.CAs[0].Host()+" (automatic)", hosts)
	}
	m, err := b.Shared.Automatic.Get(b.Tx, s.Key(), func() (*acme.Manager, error) {
		return acme.Open(*s, acme.Deps{Challenges: b.Shared.Challenges, Log: b.Log})
	})
	if err != nil {
		return nil, err
	}
	return b.Shared.Certs.Get(b.Tx, key, func() (certs.Source, error) {
		made := m.Source(hosts)
		made.Load()
		return made, nil
	})
}

// once notes diagnostics of what several sites read.
func (b *builder) once(found diag.List) {
	for _, d := range found {
		if !slices.ContainsFunc(b.errs, func(o diag.Diagnostic) bool { return o.Range == d.Range && o.Message == d.Message }) {
			b.errs = append(b.errs, d)
		}
	}
}

// issuable reports what no authority would issue.
func (b *builder) issuable(cfg *config.Site, s *acme.Settings) bool {
	good := true
	for i := range cfg.Addresses {
		a := &cfg.Addresses[i]
		if !a.TLS {
			continue
		}
		var d *diag.Diagnostic
		switch {
		case s.Ask != "":
		case a.Host == "":
			d = b.errs.Add(a.Range, "no-certificate", "%q names no host, and so no certificate", a.Text)
			d.Help = append(d.Help, "name certificates with `tls CERT KEY`, or have them issued on demand: `acme on_demand URL`")
		case !a.Automatic && s.Public():
			d = b.errs.Add(a.Range, "automatic-name-not-public", "no public authority issues a certificate for %q", a.Host)
			d.Help = append(d.Help, "use `tls internal`, name one with `tls CERT KEY`, or name an authority of your own: `acme ca URL`")
		case strings.HasPrefix(a.Host, "*") && !s.DNS.On():
			d = b.errs.Add(a.Range, "wildcard-without-dns-challenge", "a certificate for %q is issued by DNS only", a.Host)
			d.Help = append(d.Help, "say how TXT records are made: `acme dns exec PROGRAM` or `acme dns webhook URL`")
		}
		good = good && d == nil
		b.proving = append(b.proving, proving{at: a.Range, text: a.Text, settings: s})
	}
	return good
}

// reachable warns of names that no authority can reach: nothing listens where their
// challenges come in.
func (b *builder) reachable() {
	if n := config.Last(b.cfg.Process, "acme"); n != nil && len(b.proving) == 0 { // no site reads it
		_, found := acme.Read(n, nil, b.state())
		b.once(found)
	}
	if b.errs.HasErrors() { // of which some may be why nothing listens
		return
	}
	clear, secure := b.listensAt("80", false), b.listensAt("443", true)
	for _, p := range b.proving {
		s := p.settings
		if s.DNS.On() || s.HTTP && clear || s.ALPN && secure {
			continue
		}
		where := "port 80 in clear or at port 443 by TLS"
		switch {
		case !s.ALPN:
			where = "port 80 in clear"
		case !s.HTTP:
			where = "port 443 by TLS"
		}
		d := b.errs.Add(p.at, "challenge-port-not-listened", "the authority will ask for %q at %s, where nothing listens", p.text, where)
		d.Severity = diag.Warning
		d.Help = append(d.Help, "serve http:// on port 80, too, prove the name by `acme dns …`, or say that the port is forwarded: # lint:ignore challenge-port-not-listened WHY")
	}
}

// listensAt reports whether a socket has the port and is, or is not, of TLS.
func (b *builder) listensAt(port string, secure bool) bool {
	for _, l := range b.graph.Listeners {
		if strings.HasSuffix(l.Address, ":"+port) && (l.front != nil) == secure && (secure || l.Stream == nil) {
			return true
		}
	}
	return false
}

// prove answers an exchange that is an authority's, whatever site has the host.
func (l *Listener) prove(s *Site, x *flow.Exchange) bool {
	if x.Fault != nil && x.Fault != errNoSite {
		return false
	}
	answer, ok := l.proofs.Answer(x)
	if !ok {
		return false
	}
	x.Site, x.Record.Site = s, s.Name
	x.OnEnd(logOnly{s})
	x.Record.Terminate('L', 'R')
	_ = x.Respond(200, "text/plain", answer) // who does not wait for it will ask again
	return true
}

// proof gives the configuration of a handshake that is an authority's: it shows
// that the name is served here, and asks nothing of its client (RFC 8737 §3).
func (f *front) proof(h *tls.ClientHelloInfo) *tls.Config {
	if len(h.SupportedProtos) != 1 || h.SupportedProtos[0] != acme.ALPN || !f.proofs.Active() {
		return nil
	}
	return &tls.Config{
		GetCertificate: f.proofs.Certificate, NextProtos: []string{acme.ALPN},
		MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
	}
}

// proved reports a connection that was for its handshake only.
func proved(c *flow.Conn) bool { return c.TLS != nil && c.TLS.ALPN == acme.ALPN }
