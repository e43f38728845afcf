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
}

// tlsKey tells probes of one server apart by how they speak TLS.
func tlsKey(s *upstream.Server) string {
	if s.TLS == nil {
		return ""
	}
	return " tls " + s.TLS.Key
}
