package pool

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/transport"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// secure reads how a server is spoken to: by TLS or in clear, and in which version
// of HTTP.
func (b *builder) secure(s *upstream.Server, n *config.Node) {
	t, err := transport.NewTLS(config.Last(b.cfg.Body, "tls"), n.Option("tls"), s.Dial, func(d diag.Diagnostic) {
		b.errs = append(b.errs, d)
	})
	if err != nil {
		if d, ok := err.(diag.Diagnostic); ok { // NewTLS gives nothing else
			b.errs = append(b.errs, d)
		}
		return
	}
	s.TLS = t
	s.Protocol, err = transport.NewProtocol(config.Last(b.cfg.Body, "protocol"), n.Option("protocol"), t)
	if d, ok := err.(diag.Diagnostic); ok { // NewProtocol gives nothing else
		b.errs = append(b.errs, d)
	}
	if s.Protocol == upstream.H3 {
		b.overUDP(s, n)
	}
}

// overUDP refuses what there is of a TCP connection and not of a QUIC one.
func (b *builder) overUDP(s *upstream.Server, n *config.Node) {
	at := func(word string) diag.Range {
		if o := n.Option(word); o != nil {
			return o.Range
		}
		if d := config.Last(b.cfg.Body, word); d != nil {
			return d.Range
		}
		return n.Range
	}
	if s.Proxy != nil {
		d := b.errs.Add(at("proxy_protocol"), "bad-value", "the PROXY protocol goes ahead of a TCP connection, and server %s is spoken to in HTTP/3", s.Name)
		d.Help = append(d.Help, "write `proxy_protocol off`, or tell the server by `forwardfor`")
	}
	if s.AsClient {
		d := b.errs.Add(at("source"), "bad-value", "`source client` is for TCP connections, and server %s is spoken to in HTTP/3", s.Name)
		d.Help = append(d.Help, "exchanges of all clients share its QUIC connection; tell the server by `forwardfor`")
	}
	if s.Network != "tcp" {
		b.errs.Add(n.Range, "bad-address", "server %s is a unix socket, where there is no HTTP/3", s.Name)
	}
}

// tlsKey tells probes of one server apart by how they speak TLS.
func tlsKey(s *upstream.Server) string {
	if s.TLS == nil {
		return ""
	}
	return " tls " + s.TLS.Key
}
