package template

import (
	"crypto/tls"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// tlsPlaceholders are the facts of the client's handshake; in clear all of them
// are empty.
var tlsPlaceholders = []placeholder{
	{spec.Placeholder{Name: "tls.sni", Doc: "the server name that the client asked for, empty in clear"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if t := x.Conn.TLS; t != nil {
				b = append(b, t.ServerName...)
			}
			return b
		}},
	{spec.Placeholder{Name: "tls.alpn", Doc: "the application protocol agreed on, empty in clear"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if t := x.Conn.TLS; t != nil {
				b = append(b, t.ALPN...)
			}
			return b
		}},
	{spec.Placeholder{Name: "tls.version", Doc: "the version of TLS that the client speaks: TLSv1.2 or TLSv1.3, empty in clear"},
		func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, versionName(x.Conn.TLS)...) }},
	{spec.Placeholder{Name: "tls.cipher", Doc: "the cipher suite agreed on, by its name at IANA, empty in clear"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if t := x.Conn.TLS; t != nil {
				b = append(b, ciphers[t.Cipher]...)
			}
			return b
		}},
	{spec.Placeholder{Name: "tls.resumed", Doc: "yes, if the handshake took up an earlier session; else empty"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if t := x.Conn.TLS; t != nil && t.Resumed {
				b = append(b, "yes"...)
			}
			return b
		}},
	{spec.Placeholder{Name: "tls.client.subject", Doc: "whom the client's certificate is for, as RFC 4514 writes it"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if c := clientCert(x); c != nil {
				b = append(b, c.Subject...)
			}
			return b
		}},
	{spec.Placeholder{Name: "tls.client.issuer", Doc: "who issued the client's certificate"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if c := clientCert(x); c != nil {
				b = append(b, c.Issuer...)
			}
			return b
		}},
	{spec.Placeholder{Name: "tls.client.serial", Doc: "the serial number of the client's certificate, hexadecimal"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if c := clientCert(x); c != nil {
				b = append(b, c.Serial...)
			}
			return b
		}},
	{spec.Placeholder{Name: "tls.client.names", Doc: "the alternative names in the client's certificate, with blanks between them"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if c := clientCert(x); c != nil {
				b = c.AppendNames(b)
			}
			return b
		}},
	{spec.Placeholder{Name: "tls.client.not_after", Doc: "when the client's certificate expires, as RFC 3339 writes it"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if c := clientCert(x); c != nil {
				b = c.NotAfter.UTC().AppendFormat(b, time.RFC3339)
			}
			return b
		}},
	{spec.Placeholder{Name: "tls.client.fingerprint", Doc: "the SHA-256 of the client's certificate, hexadecimal"},
		func(b []byte, x *flow.Exchange, _ string) []byte {
			if c := clientCert(x); c != nil {
				b = append(b, c.Fingerprint...)
			}
			return b
		}},
}

// ciphers are the suites' names: crypto/tls makes its list anew for each question.
var ciphers = func() map[uint16]string {
	names := map[uint16]string{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		names[s.ID] = s.Name
	}
	return names
}()

func versionName(t *flow.TLS) string {
	switch {
	case t == nil:
		return ""
	case t.Version == tls.VersionTLS12:
		return "TLSv1.2"
	case t.Version == tls.VersionTLS13:
		return "TLSv1.3"
	default:
		return tls.VersionName(t.Version)
	}
}

func clientCert(x *flow.Exchange) *flow.ClientCert {
	if x.Conn.TLS == nil {
		return nil
	}
	return x.Conn.TLS.Client
}
