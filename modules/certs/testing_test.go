package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// maker issues certificates for tests, into files of a directory.
type maker struct {
	t    *testing.T
	dir  string
	root *x509.Certificate
	key  crypto.Signer
}

func newMaker(t *testing.T) *maker {
	t.Helper()
	a, err := newAuthority(time.Now(), "Test authority")
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{t: t, dir: t.TempDir(), root: a.root, key: a.key}
	m.write("ca.crt", "CERTIFICATE", a.root.Raw)
	return m
}

func (m *maker) path(name string) string { return filepath.Join(m.dir, name) }

func (m *maker) write(name, kind string, der []byte) {
	m.t.Helper()
	m.text(name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

// text replaces a file by another, as a careful tool does.
func (m *maker) text(name, text string) {
	m.t.Helper()
	tmp := m.path("." + name)
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(tmp, m.path(name)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) read(name string) string {
	m.t.Helper()
	b, err := os.ReadFile(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// issue makes NAME.crt and NAME.key; change may change the certificate before.
func (m *maker) issue(name string, key crypto.Signer, change func(*x509.Certificate), names ...string) *x509.Certificate {
	m.t.Helper()
	c := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, m.root, key.Public(), m.key)
	if err != nil {
		m.t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(name+".crt", "CERTIFICATE", der)
	m.write(name+".key", "PRIVATE KEY", pk)
	out, err := x509.ParseCertificate(der)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

func (m *maker) files(names ...string) []Files {
	var out []Files
	for _, n := range names {
		out = append(out, Files{Cert: m.path(n + ".crt"), Key: m.path(n + ".key")})
	}
	return out
}
