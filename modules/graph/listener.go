package graph

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/acme"
	"github.com/loadstar-lb/loadstar/modules/certs"
	"github.com/loadstar-lb/loadstar/modules/handler"
)

// Listener is what the graph wants served on one socket: HTTP sites told apart
// by host, or one site of streams.
type Listener struct {
	Network string // "tcp" or "unix"
	Address string // host:port, :port or a path
	Range   diag.Range
	Limits  flow.Limits
	Stream  *StreamSite // nil on HTTP sockets, and where TLS tells sites apart
	front   *front      // nil in clear
	ahead   ahead
	proofs  *acme.Challenges

	hosts Hosts[Site]
	first *Site // answers what names no host: malformed requests
	none  *Site // answers for hosts that no site claims

	alternative *alternative // nil without HTTP/3
	secret      [64]byte     // of the UDP port
}

// errNoSite is what a host gets that no site claims.
var errNoSite = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 404, Cause: "no site for this host"}

// ServeExchange finds the site by host and has it serve.
func (l *Listener) ServeExchange(x *flow.Exchange) {
	s := l.site(x)
	if acme.Asked(x.Req.Path) && l.prove(s, x) {
		return
	}
	l.announce(s, x)
	s.serve(x)
}

// site finds the site by host; a fault stands in x if it may not serve it.
func (l *Listener) site(x *flow.Exchange) *Site {
	if x.Fault != nil {
		return l.first
	}
	s := l.hosts.Lookup(x.Req.Host)
	if s == nil {
		x.Fault = errNoSite
		return l.none
	}
	if s.misdirected(x) {
		x.Fault = errMisdirected
	}
	s.early(x)
	return s
}

// listenHTTP puts a site on its sockets.
func (b *builder) listenHTTP(cfg *config.Site, s *Site, limits flow.Limits) {
	for i := range cfg.Addresses {
		a := &cfg.Addresses[i]
		for _, l := range b.listeners(cfg, a, limits) {
			if l.Stream != nil {
				b.errs.Add(a.Range, "port-conflict", "%s is taken by a tcp site", l.Address)
				continue
			}
			if !b.sameKind(l, a) {
				continue
			}
			if a.TLS {
				b.listenTLS(l, a, s.tls, nil)
			}
			if l.first == nil {
				l.first = s
				none := *s
				none.Name, none.routes, none.forwarded = l.Address, NewChain(nil), &handler.Forwarded{}
				l.none = &none
			}
			if err := l.hosts.Add(a.Host, s); err != nil {
				b.errs.Add(a.Range, "duplicate-site", "%v on %s", err, l.Address)
			}
		}
	}
}

// sameKind reports a socket that would have to speak TLS and in clear.
func (b *builder) sameKind(l *Listener, a *config.Address) bool {
	taken := l.first != nil || l.front != nil || l.Stream != nil
	if taken && a.TLS != (l.front != nil) {
		b.errs.Add(a.Range, "port-conflict", "%s cannot speak TLS and in clear", l.Address)
		return false
	}
	return true
}

// Binding gives what the socket's connections are to be served with.
func (l *Listener) Binding(g *flow.Generation) *flow.Binding {
	b := &flow.Binding{Server: l, Generation: g, Limits: l.Limits, Proxy: l.ahead.from, StartTLS: l.ahead.starttls}
	if l.front != nil {
		b.TLS = l.front.config()
		if l.first != nil {
			l.front.rest = nil
		}
		if l.front.streamed {
			b.Streams = l.front
		}
	}
	if l.Stream != nil {
		b.Streams = l.Stream
	}
	return b
}

// listeners gives the sockets of one site address, making those that are new.
func (b *builder) listeners(cfg *config.Site, a *config.Address, limits flow.Limits) []*Listener {
	var out []*Listener
	for _, addr := range b.binds(cfg, a) {
		network := "tcp"
		if a.Path != "" {
			network = "unix"
		}
		key := network + " " + addr
		l := b.byKey[key]
		if l == nil {
			l = &Listener{Network: network, Address: addr, Range: a.Range, Limits: limits, proofs: b.Shared.Challenges}
			b.byKey[key] = l
			b.graph.Listeners = append(b.graph.Listeners, l)
		}
		widen(&l.Limits, limits)
		b.agree(l, cfg)
		out = append(out, l)
	}
	return out
}

// binds gives the socket addresses of a site address: of a tcp site its own IP,
// else what `bind` says, else all of the machine's.
func (b *builder) binds(cfg *config.Site, a *config.Address) []string {
	if a.Path != "" {
		return []string{a.Path}
	}
	port := strconv.Itoa(int(a.Port))
	var out []string
	for _, n := range config.Find(cfg.Body, "bind") {
		for _, v := range n.Args {
			ip, err := netip.ParseAddr(v.Text)
			if err != nil {
				d := b.errs.Add(v.Range, "bad-value", "%q is no IP address", v.Text)
				d.Help = append(d.Help, "the port stands in the site's address")
				continue
			}
			out = append(out, net.JoinHostPort(ip.String(), port))
		}
	}
	switch {
	case len(out) > 0:
		return out
	case cfg.TCP && a.Host != "" && (a.Scheme == "tcp" || certs.IsIP(a.Host)): // a tls site's name is for SNI
		return []string{net.JoinHostPort(a.Host, port)}
	default:
		return []string{":" + port}
	}
}
