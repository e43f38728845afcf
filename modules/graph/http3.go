package graph

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/certs"
)

// alternative tells clients of other versions that a site speaks HTTP/3 (RFC 7838,
// RFC 9114 §3.1). What a server says of alternatives is about itself, and does not
// hold here.
type alternative struct{ value []byte }

// alternativeAge is how long clients may remember it, in seconds.
const alternativeAge = 86400

// OnResponse implements flow.ResponseHook.
func (a *alternative) OnResponse(x *flow.Exchange) {
	x.Resp.Header.SetBytes("Alt-Svc", a.value)
}

// announce has answers of a site that speaks HTTP/3 say so.
func (l *Listener) announce(s *Site, x *flow.Exchange) {
	if l.alternative != nil && s.tls != nil && s.tls.HTTP3() && x.Req.Major < 3 {
		x.AddHook(l.alternative)
	}
}

// errTooEarly refuses what came in early data and is not safe to be served twice:
// an attacker may send a copy of it (RFC 8470 §5.2).
var errTooEarly = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 425, Cause: "early data"}

// early decides over a request that came in early data.
func (s *Site) early(x *flow.Exchange) {
	if !x.Req.Early || x.Fault != nil {
		return
	}
	if s.tls == nil || !s.tls.EarlyData() || !safe(x.Req.Method) || len(x.Req.Upgrade) > 0 {
		x.Fault = errTooEarly
		return
	}
	x.Req.Header.Set("Early-Data", "1")
}

// safe reports the methods that change nothing (RFC 9110 §9.2.1).
func safe(method string) bool { return method == "GET" || method == "HEAD" || method == "OPTIONS" }

// listenPackets has a socket's UDP port speak HTTP/3, too.
func (b *builder) listenPackets(l *Listener, p *certs.Policy) {
	if !p.HTTP3() || l.Network != "tcp" {
		return
	}
	f := l.front
	if f.early = f.early || p.EarlyData(); f.http3 {
		return
	}
	f.http3 = true
	if _, port, err := net.SplitHostPort(l.Address); err == nil {
		l.alternative = &alternative{value: fmt.Appendf(nil, "h3=\":%s\"; ma=%d", port, alternativeAge)}
	}
	if b.Dry {
		return
	}
	secret, err := b.Shared.Packets.Of(b.state())
	if err != nil {
		b.Log.Warn("HTTP/3's secret cannot be kept: after a restart, clients will wait in vain for a while", "error", err)
	}
	l.secret = secret
}

// PacketBinding gives what the socket's UDP port is to be served with, nil if
// nothing is.
func (l *Listener) PacketBinding(g *flow.Generation) *flow.Binding {
	f := l.front
	if f == nil || !f.http3 {
		return nil
	}
	return &flow.Binding{
		Server: l, Generation: g, Limits: l.Limits, TLS: &tls.Config{GetConfigForClient: f.choosePackets, MinVersion: tls.VersionTLS13},
		Packets: &flow.Packets{Secret: l.secret, EarlyData: f.early}, Proxy: l.ahead.from,
	}
}

var errNoHTTP3 = errors.New("this site does not speak HTTP/3")

// choosePackets is choose for QUIC.
func (f *front) choosePackets(h *tls.ClientHelloInfo) (*tls.Config, error) {
	if c := f.policy(h).QUIC(); c != nil {
		return c, nil
	}
	return nil, errNoHTTP3
}
