package transport

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/certs"
	"github.com/loadstar-lb/loadstar/modules/template"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// TLSWord is `tls` in pools.
func TLSWord() spec.Word {
	onOff := func(name, def, doc string) spec.Arg {
		return spec.Arg{Name: name, Kind: spec.Enum, Words: []string{"on", "off"}, Optional: def != "", Default: def, Doc: doc}
	}
	return spec.Word{
		Name: "tls", In: spec.InPool,
		Doc: "The servers are spoken to by TLS",
		Long: "A server's certificate must be issued by an authority that this machine, or `ca`, trusts, and be for the server's name: `name`, or " +
			"else what `sni` asks for, or else the host of its address. `health http` speaks TLS to these servers in the same way. " +
			"A server's own `tls` adds to the pool's, or, `off`, ends it.",
		Example: "tls name web.internal",
		Args:    []spec.Arg{onOff("WHEN", "on", "on or off")},
		Options: []spec.Word{
			{Name: "verify", Default: "on", Doc: "whether the server's certificate is checked; off trusts whoever answers",
				Args: []spec.Arg{onOff("WHEN", "", "on or off")}},
			{Name: "ca", Doc: "the only authorities that are trusted, instead of the machine's",
				Args: []spec.Arg{{Name: "FILE", Kind: spec.File, Doc: "their certificates, PEM"}}},
			{Name: "name", Doc: "the name that the server's certificate must be for",
				Args: []spec.Arg{{Name: "HOST", Kind: spec.String, Doc: "a host name or an address"}}},
			{Name: "sni", Doc: "the name that the server is asked for, if not the one that is checked",
				Args: []spec.Arg{{Name: "HOST", Kind: spec.Template, Doc: "a host name, such as {http.host}"}}},
			{Name: "cert", Doc: "the certificate that Loadstar shows to servers that ask for one; read anew when the files change",
				Args: []spec.Arg{{Name: "CERT", Kind: spec.File, Doc: "its PEM file"}, {Name: "KEY", Kind: spec.File, Doc: "its key's PEM file"}}},
		},
	}
}

// ServerTLSWord is the option `tls` of a server: what it does not say, the pool says.
func ServerTLSWord() spec.Word {
	w := TLSWord()
	w.In, w.Doc, w.Long = 0, "This server is spoken to by TLS, or what is different about that", ""
	w.Example = "server s1 10.0.0.1:443 tls verify on"
	w.Options[0].Default = ""
	return w
}

// secureSettings is what the directives of pool and server say together.
type secureSettings struct {
	host, name, sni string
	verify          bool
	ca, cert, key   string
}

// NewTLS reads `tls` of a pool and of its server at an address; either may be nil.
// nil without an error means in clear. Its error has a place; warnings go to warn.
func NewTLS(pool, server *config.Node, address string, warn func(diag.Diagnostic)) (*upstream.TLS, error) {
	n := server
	if n == nil {
		n = pool
	}
	if n == nil || n.Text(0) == "off" {
		return nil, nil
	}
	s := secureSettings{verify: true}
	if host, _, err := net.SplitHostPort(address); err == nil {
		s.host = host
	}
	for _, o := range []*config.Node{pool, server} {
		if o != nil {
			s.read(o)
		}
	}
	if !s.verify {
		warn(diag.Diagnostic{Severity: diag.Warning, Range: n.Range, Rule: "verify-off",
			Message: "whoever answers at the server's address is trusted", Help: []string{"name the authority with `ca FILE` instead"}})
	}
	t, err := s.build()
	if err == nil {
		return t, nil
	}
	f := certs.FindingOf(err)
	d := diag.Diagnostic{Range: n.Range, Rule: f.Rule, Message: f.Message}
	if f.Help != "" {
		d.Help = []string{f.Help}
	}
	return nil, d
}

func (s *secureSettings) read(n *config.Node) {
	for i := range n.Options {
		o := &n.Options[i]
		switch o.Word {
		case "verify":
			s.verify = o.Text(0) != "off"
		case "ca":
			s.ca = o.Args[0].Path()
		case "name":
			s.name = o.Text(0)
		case "sni":
			s.sni = o.Text(0)
		case "cert":
			s.cert, s.key = o.Args[0].Path(), o.Args[1].Path()
		}
	}
}

// sessions bounds the sessions that are kept to be resumed, a server.
const sessions = 64

func (s *secureSettings) build() (*upstream.TLS, error) {
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, ServerName: s.host,
		ClientSessionCache: tls.NewLRUClientSessionCache(sessions), DynamicRecordSizingDisabled: true,
	}
	t := &upstream.TLS{Config: cfg}
	if s.name != "" {
		cfg.ServerName = s.name
	}
	if s.sni != "" {
		tpl, err := template.Compile(s.sni)
		if err != nil {
			return nil, err
		}
		if text, ok := tpl.Static(); ok {
			cfg.ServerName = text
		} else {
			t.Name = tpl
		}
	}
	digest, err := s.trust(cfg)
	if err != nil {
		return nil, err
	}
	if s.verify && cfg.ServerName == "" && t.Name == nil {
		return nil, &certs.Failure{Rule: "server-without-name", Message: "a unix socket has no name that its certificate could be for", Help: "write `name HOST`"}
	}
	if s.cert != "" {
		store := certs.NewStore([]certs.Files{{Cert: s.cert, Key: s.key}}, false, slog.Default())
		if found := store.Check(nil); len(found) > 0 && found[0].Severity == diag.Error {
			return nil, &certs.Failure{Rule: found[0].Rule, Message: found[0].Message, Help: found[0].Help}
		}
		cfg.GetClientCertificate = store.ClientCertificate
	}
	t.Key = fmt.Sprintf("%q verify=%t %x", []string{s.host, s.name, s.sni, s.ca, s.cert, s.key}, s.verify, digest)
	return t, nil
}

// trust sets what is verified, and gives a digest of the authorities.
func (s *secureSettings) trust(cfg *tls.Config) (digest []byte, err error) {
	if s.ca != "" {
		text, err := os.ReadFile(s.ca)
		if err != nil {
			return nil, &certs.Failure{Rule: "unreadable-file", Message: fmt.Sprintf("cannot read %s: %v", s.ca, errors.Unwrap(err))}
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(bytes.Clone(text)) {
			return nil, &certs.Failure{Rule: "bad-certificate", Message: s.ca + " holds no certificate"}
		}
		sum := sha256.Sum256(text)
		digest = sum[:]
	}
	switch {
	case !s.verify:
		cfg.InsecureSkipVerify = true //nolint:gosec // asked for, and warned of
	case s.name != "" && s.sni != "":
		// crypto/tls checks the name that is asked for; here another one counts.
		roots, name := cfg.RootCAs, s.name
		cfg.InsecureSkipVerify = true //nolint:gosec // VerifyConnection does it
		cfg.VerifyConnection = func(st tls.ConnectionState) error { return verify(st, roots, name) }
	}
	return digest, nil
}

// verify does what crypto/tls does by itself, with a name of its own.
func verify(st tls.ConnectionState, roots *x509.CertPool, name string) error {
	if len(st.PeerCertificates) == 0 {
		return errors.New("the server showed no certificate")
	}
	opts := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, c := range st.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := st.PeerCertificates[0].Verify(opts)
	return err
}
