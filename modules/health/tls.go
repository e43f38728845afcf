package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var tlsModule = Module{
	Spec: spec.Word{
		Name: "tls",
		Doc:  "The server is well if it completes a TLS handshake; its certificate is not judged",
		Long: "The result names the day on which the certificate expires. From `warn` before that day on a warning is logged, once a certificate. " +
			"With `valid` a certificate that has expired fails the probe.",
		Example: "health tls host www.example.com",
		Options: []spec.Word{
			{Name: "host", Doc: "the server name to ask for (SNI)",
				Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a host name"}}},
			{Name: "warn", Doc: "how long before the certificate expires to warn", Default: "336h",
				Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Doc: "a time (default: two weeks); 0s: do not warn"}}},
			{Name: "valid", Doc: "fail when the certificate has expired or is not valid yet"},
		},
	},
	New: func(n *config.Node) (Probe, error) {
		return &tlsProbe{config: tlsConfig(n.OptionText("host")), warn: n.OptionDuration("warn"), valid: n.Has("valid")}, nil
	},
}

// tlsConfig is how probes speak TLS. The question is whether the server does;
// whom clients trust is theirs to decide, and a probe sends nothing secret.
func tlsConfig(name string, protocols ...string) *tls.Config {
	return &tls.Config{
		ServerName:         name,
		InsecureSkipVerify: true, //nolint:gosec // see above
		MinVersion:         tls.VersionTLS12,
		NextProtos:         protocols,
	}
}

// hostOnly cuts the port off a Host.
func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

type tlsProbe struct {
	config *tls.Config
	warn   time.Duration
	valid  bool
}

func (p *tlsProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	c, err := s.secure(ctx, p.config)
	if err != nil {
		return answerFailed(ctx, "Layer6", err)
	}
	state := c.ConnectionState()
	r := passed("Layer6 check passed", 0, tls.VersionName(state.Version))
	if len(state.PeerCertificates) == 0 {
		return r, nil
	}
	cert := state.PeerCertificates[0]
	end, now := cert.NotAfter, time.Now()
	verb := "expires"
	if now.After(end) {
		verb = "expired"
	}
	r.Info = fmt.Sprintf("%s, certificate %s %s", r.Info, verb, end.UTC().Format(time.DateOnly))
	if p.warn > 0 && end.Sub(now) < p.warn {
		r.Notice = fmt.Sprintf("the certificate of %s %s at %s", firstName(cert.DNSNames, cert.Subject.CommonName), verb, end.UTC().Format(time.RFC3339))
		r.Notice = printableUpTo(r.Notice, 2*maxInfo)
	}
	if p.valid && (now.After(end) || now.Before(cert.NotBefore)) {
		r.Reason = "Layer6 invalid response"
		return r, &Failure{r}
	}
	return r, nil
}

func firstName(names []string, otherwise string) string {
	if len(names) > 0 {
		return names[0]
	}
	return otherwise
}
