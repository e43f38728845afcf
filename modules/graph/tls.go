package graph

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/acme"
	"github.com/loadstar-lb/loadstar/modules/certs"
)

// front tells the TLS sites of one socket apart by the server name that a client
// asks for: it chooses the settings of the handshake, and whom streams belong to.
type front struct {
	policies Hosts[certs.Policy]
	first    *certs.Policy // for names that no site has
	streams  Hosts[StreamSite]
	streamed bool        // there are stream sites
	http3    bool        // there are sites that speak HTTP/3
	early    bool        // and take early data
	rest     *StreamSite // for names that no site has, where there is no HTTP site
	proofs   *acme.Challenges
}

// Config gives what the listener's handshakes begin with.
func (f *front) config() *tls.Config {
	return &tls.Config{GetConfigForClient: f.choose, MinVersion: tls.VersionTLS12}
}

// choose is called with each ClientHello.
func (f *front) choose(h *tls.ClientHelloInfo) (*tls.Config, error) {
	if c := f.proof(h); c != nil {
		return c, nil
	}
	return f.policy(h).Config(), nil
}

// policy finds whom a ClientHello is for. A client that names nothing is taken to
// mean the address it connected to.
func (f *front) policy(h *tls.ClientHelloInfo) *certs.Policy {
	name := strings.ToLower(h.ServerName)
	look := name
	if look == "" && h.Conn != nil {
		look = addressOf(h.Conn)
	}
	p := f.policies.Lookup([]byte(look))
	if p == nil {
		p = f.first
	}
	if t := flow.TLSFrom(h.Context()); t != nil {
		t.ServerName, t.Policy, t.Auth = name, p.ID, p.Auth
	}
	return p
}

// addressOf gives the address that a connection came to, "" if it has none.
func addressOf(c net.Conn) string {
	a, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return ""
	}
	return a.Addr().Unmap().WithZone("").String()
}

// Takes implements flow.StreamChooser.
func (f *front) Takes(c *flow.Conn) bool { return proved(c) || f.stream(c) != nil }

// ServeConn implements flow.StreamChooser.
func (f *front) ServeConn(c *flow.Conn) {
	if !proved(c) { // else the handshake was all
		f.stream(c).ServeConn(c)
	}
}

func (f *front) stream(c *flow.Conn) *StreamSite {
	if c.TLS == nil {
		return nil
	}
	name := c.TLS.ServerName
	if name == "" {
		// As choose does, and not c.Local alone, which a PROXY header may have
		// told: the site must be the one whose handshake was held.
		name = c.Local.Addr().Unmap().WithZone("").String()
		if c.Told != nil {
			name = addressOf(c.Conn)
		}
	}
	if s := f.streams.Lookup([]byte(name)); s != nil || f.policies.Lookup([]byte(name)) != nil {
		return s
	}
	return f.rest
}

// errMisdirected refuses an exchange whose site wants another handshake than the
// one that was held (RFC 9110 §15.5.20): another site's, with other rules of who
// is let in. The client may ask again on a connection of its own.
var errMisdirected = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 421, Cause: "site wants another TLS handshake"}

// misdirected reports whether a connection's handshake is not good for this site.
func (s *Site) misdirected(x *flow.Exchange) bool {
	t := x.Conn.TLS
	if t == nil || s.tls == nil || t.Policy == s.tls.ID {
		return false
	}
	// Certificates that were renamed by a reload are no reason to refuse who
	// asked for this very host all along.
	return t.Auth != s.tls.Auth || t.ServerName != "" && t.ServerName != string(x.Req.Host)
}

// secure makes the policy of a site's TLS addresses, nil if it has none or an
// error was found. Handshakes get at least the time it gives, unless the site says
// otherwise.
func (b *builder) secure(cfg *config.Site) (policy *certs.Policy, handshake time.Duration) {
	nodes := config.Find(cfg.Body, "tls")
	own := config.Last(cfg.Body, "acme")
	var plan *certs.Plan
	if len(nodes) > 0 {
		var found diag.List
		plan, found = certs.Read(nodes)
		b.errs = append(b.errs, found...)
		if found.HasErrors() || !b.tlsFits(cfg, nodes[0], plan) {
			return nil, 0
		}
		if plan.Off {
			if own != nil {
				b.errs.Add(own.Range, "tls-conflict", "`tls off` leaves nothing to have certificates for")
			}
			return nil, 0
		}
	}
	secured := slices.ContainsFunc(cfg.Addresses, func(a config.Address) bool { return a.TLS })
	switch {
	case own != nil && !secured:
		b.inClearSite(cfg, own)
	case own != nil && plan.Named():
		b.errs.Add(own.Range, "tls-conflict", "certificates of this site are named, and `acme` would have others issued")
	case secured && plan.Named():
		return b.policy(cfg, nodes[0], plan), 0
	case secured:
		return b.automatic(cfg, own, plan)
	}
	return nil, 0
}

// tlsFits reports `tls` where there is nothing to terminate, and `tls off` where
// there is.
func (b *builder) tlsFits(cfg *config.Site, n *config.Node, plan *certs.Plan) bool {
	if cfg.TCP && plan.HTTPAt != (diag.Range{}) {
		b.errs.Add(plan.HTTPAt, "tls-conflict", "versions of HTTP are for HTTP sites; this one passes streams on")
		return false
	}
	secured := false
	for i := range cfg.Addresses {
		a := &cfg.Addresses[i]
		secured = secured || a.TLS
		if plan.Off && a.TLS && strings.Contains(a.Text, "://") {
			b.errs.Add(n.Range, "tls-conflict", "%q asks for TLS, and `tls off` for none", a.Text)
			return false
		}
	}
	if secured || plan.Off {
		return true
	}
	b.inClearSite(cfg, n)
	return false
}

// inClearSite reports a directive about certificates where TLS is not terminated.
func (b *builder) inClearSite(cfg *config.Site, n *config.Node) {
	d := b.errs.Add(n.Range, "tls-in-clear-site", "no address of this site speaks TLS")
	if help := "write https:// before the address"; cfg.TCP {
		d.Help = append(d.Help, "tcp:// passes streams through untouched; to terminate TLS write tls://")
	} else {
		d.Help = append(d.Help, help)
	}
}

// inClear gives a site's addresses as `tls off` makes them: those without a scheme
// are http, at port 80 where none is written.
func inClear(in []config.Address) []config.Address {
	out := append([]config.Address(nil), in...)
	for i := range out {
		a := &out[i]
		if !a.TLS {
			continue
		}
		a.TLS, a.Automatic, a.Scheme = false, false, "http"
		if !strings.HasSuffix(a.Text, fmt.Sprintf(":%d", a.Port)) {
			a.Port = 80
		}
	}
	return out
}

// policy has a source and client authorities lent, and reports what is wrong with
// them.
func (b *builder) policy(cfg *config.Site, n *config.Node, plan *certs.Plan) *certs.Policy {
	source := b.source(cfg, n, plan)
	if source == nil {
		return nil
	}
	bad := b.findings(source.Check(tlsHosts(cfg)), n.Range, plan.At)
	p := b.settled(cfg, plan, source, sourceKey(cfg, plan, b.state()))
	if bad {
		return nil
	}
	return p
}

// settled makes the policy of a plan for certificates of a source, nil if an error
// was found.
func (b *builder) settled(cfg *config.Site, plan *certs.Plan, source certs.Source, named certs.Key) *certs.Policy {
	s := plan.Settings
	if plan.Resume {
		s.Tickets = b.Shared.Tickets
	}
	if plan.CA != "" {
		key := certs.ClientsKey{CA: plan.CA, CRL: plan.CRL}
		c, err := b.Shared.Clients.Get(b.Tx, key, func() (*certs.Clients, error) {
			c := certs.NewClients(plan.CA, plan.CRL, b.Log)
			if !b.Dry {
				c.Start()
			}
			return c, nil
		})
		if err != nil {
			b.errs.Add(plan.CAAt, "bad-value", "client_auth: %v", err)
			return nil
		}
		if b.findings(c.Check(), plan.CAAt, nil) {
			return nil
		}
		s.Clients, s.Trust = c, key.String()
	}
	s.Certificates = named.String()
	if cfg.TCP {
		s.Protocols, s.HTTP3 = nil, false
	}
	return certs.NewPolicy(s, source)
}

// source lends where a site's certificates come from.
func (b *builder) source(cfg *config.Site, n *config.Node, plan *certs.Plan) certs.Source {
	s, err := b.Shared.Certs.Get(b.Tx, sourceKey(cfg, plan, b.state()), func() (certs.Source, error) {
		if plan.Internal {
			a, err := b.Shared.Authority.Open(b.state(), b.Dry)
			if err != nil {
				return nil, err
			}
			return &certs.Internal{Authority: a, Hosts: tlsHosts(cfg)}, nil
		}
		store := certs.NewStore(plan.Files, plan.OCSP, b.Log)
		if !b.Dry {
			store.Start()
		}
		return store, nil
	})
	if err != nil {
		f := certs.FindingOf(err)
		b.findings([]certs.Finding{f}, n.Range, nil)
		return nil
	}
	return s
}

func tlsHosts(cfg *config.Site) []string {
	var out []string
	for i := range cfg.Addresses {
		if a := &cfg.Addresses[i]; a.TLS {
			out = append(out, a.Host)
		}
	}
	return out
}

// sourceKey names a source: equal ones are shared by sites, and kept over reloads.
func sourceKey(cfg *config.Site, plan *certs.Plan, state string) certs.Key {
	if plan.Internal {
		return certs.Key{Kind: "internal", What: fmt.Sprintf("%s %q", state, tlsHosts(cfg))}
	}
	return certs.Key{Kind: "files", What: fmt.Sprintf("%q ocsp=%t", plan.Files, plan.OCSP)}
}

// state gives the state directory.
func (b *builder) state() string {
	if n := config.Last(b.cfg.Process, "state"); n != nil && len(n.Args) > 0 {
		return n.Args[0].Path()
	}
	return certs.StateDir()
}

// findings gives findings their places; true: one of them refuses.
func (b *builder) findings(list []certs.Finding, at diag.Range, files []diag.Range) (bad bool) {
	for _, f := range list {
		r := at
		if f.File >= 0 && f.File < len(files) {
			r = files[f.File]
		}
		d := b.errs.Add(r, f.Rule, "%s", f.Message)
		if d.Severity = f.Severity; f.Help != "" {
			d.Help = append(d.Help, f.Help)
		}
		bad = bad || f.Severity == diag.Error
	}
	return bad
}

// listenTLS notes what handshakes at a socket a site's address wants.
func (b *builder) listenTLS(l *Listener, a *config.Address, p *certs.Policy, stream *StreamSite) {
	if l.front == nil {
		l.front = &front{first: p, proofs: b.Shared.Challenges}
	}
	f := l.front
	if err := f.policies.Add(a.Host, p); err != nil {
		b.errs.Add(a.Range, "duplicate-site", "%v on %s", err, l.Address)
		return
	}
	b.listenPackets(l, p)
	if stream != nil {
		if f.streamed = true; f.rest == nil {
			f.rest = stream
		}
		_ = f.streams.Add(a.Host, stream) // what is new among the policies is new here
	}
}
