package flow

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"
)

// TLS says what a terminated handshake agreed on.
type TLS struct {
	ServerName string // what the client asked for (SNI), lower case; "" if it named nothing
	ALPN       string
	Version    uint16
	Cipher     uint16
	Resumed    bool
	// Policy names the settings that the handshake was held under, certificates
	// among them, and Auth those of its parts that say who may be let in. Equal
	// numbers are equal settings, over reloads, too.
	Policy, Auth uint64
	Client       *ClientCert // nil: the client showed no certificate
}

// ClientCert is what is known of a client's certificate. It was verified, or the
// handshake would have failed.
type ClientCert struct {
	Subject     string // as RFC 4514 writes it: CN=web,O=Example
	Issuer      string
	Serial      string   // hexadecimal, lower case
	Fingerprint string   // SHA-256 of the certificate, hexadecimal, lower case
	Names       []string // its alternative names: DNS, e-mail, IP, URI
	NotAfter    time.Time
}

// ClientFacts copies what matters of a certificate, so that it can go.
func ClientFacts(cert *x509.Certificate) *ClientCert {
	sum := sha256.Sum256(cert.Raw)
	f := &ClientCert{
		Subject: cert.Subject.String(), Issuer: cert.Issuer.String(), Serial: cert.SerialNumber.Text(16),
		Fingerprint: hex.EncodeToString(sum[:]), NotAfter: cert.NotAfter,
	}
	f.Names = append(append(f.Names, cert.DNSNames...), cert.EmailAddresses...)
	for _, ip := range cert.IPAddresses {
		f.Names = append(f.Names, ip.String())
	}
	for _, u := range cert.URIs {
		f.Names = append(f.Names, u.String())
	}
	return f
}

// AppendNames appends the alternative names with blanks between them.
func (c *ClientCert) AppendNames(b []byte) []byte {
	for i, n := range c.Names {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, n...)
	}
	return b
}

// StreamChooser is a ConnServer that takes only some of its socket's
// connections; the others are served by their protocol.
type StreamChooser interface {
	ConnServer
	Takes(c *Conn) bool
}

type tlsKey struct{}

// WithTLS gives the context of a handshake. Who chooses the settings by the
// ClientHello notes its choice in t (tls.ClientHelloInfo.Context, TLSFrom).
func WithTLS(ctx context.Context, t *TLS) context.Context {
	return context.WithValue(ctx, tlsKey{}, t)
}

// TLSFrom gives what WithTLS put into a context, nil if nothing.
func TLSFrom(ctx context.Context) *TLS {
	t, _ := ctx.Value(tlsKey{}).(*TLS)
	return t
}
