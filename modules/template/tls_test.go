package template

import (
	"crypto/tls"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func TestTLSPlaceholders(t *testing.T) {
	tpl, err := Compile("{tls.version} {tls.cipher} {tls.sni} {tls.alpn} {tls.client.subject} {tls.client.issuer} {tls.client.serial} {tls.client.fingerprint}.")
	if err != nil {
		t.Fatal(err)
	}
	secure := &flow.TLS{
		Version: tls.VersionTLS13, Cipher: tls.TLS_AES_128_GCM_SHA256, ServerName: "a.test", ALPN: "http/1.1",
		Client: &flow.ClientCert{Subject: "CN=ann\r\nX: y", Issuer: "CN=root", Serial: "1f", Fingerprint: "ab"},
	}
	for _, c := range []struct {
		tls  *flow.TLS
		want string
	}{
		{nil, "       ."},
		{&flow.TLS{Version: tls.VersionTLS12, Cipher: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256      ."},
		{secure, "TLSv1.3 TLS_AES_128_GCM_SHA256 a.test http/1.1 CN=annX: y CN=root 1f ab."},
	} {
		x := &flow.Exchange{Conn: &flow.Conn{TLS: c.tls}}
		if got := string(tpl.Append(nil, x)); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		buf := make([]byte, 0, 512)
		if n := testing.AllocsPerRun(100, func() { tpl.Append(buf, x) }); n != 0 {
			t.Error(n, "allocations")
		}
	}
}
