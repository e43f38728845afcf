package health

import (
	"context"
	"crypto/tls"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var tlsModule = Module{
	Spec: spec.Word{
		Name:    "tls",
		Doc:     "The server is well if it completes a TLS handshake; its certificate is not judged",
		Example: "health tls host www.example.com",
		Options: []spec.Word{{Name: "host", Doc: "the server name to ask for (SNI)",
			Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a host name"}}}},
	},
	New: func(n *config.Node) (Probe, error) {
		return &tlsProbe{tls.Config{
			ServerName: n.OptionText("host"),
			// The question is whether the server speaks TLS; whom clients
			// trust is theirs to decide, and a probe sends nothing secret.
			InsecureSkipVerify: true, //nolint:gosec // see above
			MinVersion:         tls.VersionTLS12,
		}}, nil
	},
}

type tlsProbe struct{ config tls.Config }

func (p *tlsProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	c, err := dial(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer c.Close()
	s := tls.Client(c, &p.config)
	if err := s.HandshakeContext(ctx); err != nil {
		return answerFailed(ctx, "Layer6", err)
	}
	return passed("Layer6 check passed", 0, tls.VersionName(s.ConnectionState().Version)), nil
}
