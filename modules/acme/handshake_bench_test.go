package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/loadstar-lb/loadstar/modules/certs"
)

// BenchmarkCertificate is what finding a certificate adds to a handshake.
func BenchmarkCertificate(b *testing.B) {
	m, err := Open(Settings{Storage: b.TempDir(), CAs: []CA{{URL: "https://127.0.0.1:1/"}}}, Deps{Challenges: NewChallenges(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	made, err := certs.StandIn("bench", []string{"www.example.com"})
	if err != nil {
		b.Fatal(err)
	}
	h := &tls.ClientHelloInfo{ServerName: "www.example.com"}
	c, err := made.Certificate(h)
	if err != nil {
		b.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		b.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	issuer := m.issuers[0].IssuerKey()
	for k, v := range map[string][]byte{
		certmagic.StorageKeys.SiteCert(issuer, "www.example.com"):       chain,
		certmagic.StorageKeys.SitePrivateKey(issuer, "www.example.com"): pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		certmagic.StorageKeys.SiteMeta(issuer, "www.example.com"):       []byte("{}"),
	} {
		if err := m.store.Store(context.Background(), k, v); err != nil {
			b.Fatal(err)
		}
	}
	s := m.Source([]string{"example.com", "www.example.com"})
	s.Load()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Certificate(h); err != nil {
			b.Fatal(err)
		}
	}
}
