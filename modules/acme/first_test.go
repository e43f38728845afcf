package acme

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/acme/acmetest"
)

// The first certificate is had by HTTP-01, from an authority that refuses a third of
// all nonces, and is in storage for nobody but its owner.
func TestFirstCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: w.httpPort, BadNonces: 30})
	cfg := settings(t, ca)
	cfg.HTTP, cfg.ALPN, cfg.Email = true, false, "ops@example.com"
	m := open(t, cfg, w)
	s := m.Source([]string{"www.example.com", "example.com"})
	s.Load()
	t.Cleanup(s.Close)
	if _, err := shown(s, "example.com", ca.Roots, time.Time{}); err == nil || !strings.Contains(err.Error(), "no certificate for example.com yet") {
		t.Errorf("before the start: %v", err)
	}
	if ca.Orders() > 0 {
		t.Error("ordered before the start")
	}
	s.Start()
	s.Start()
	for _, name := range []string{"example.com", "www.example.com"} {
		until(t, name, func() bool {
			c, err := shown(s, name, ca.Roots, time.Time{})
			return err == nil && c.DNSNames[0] == name
		})
	}
	if c, err := shown(s, "elsewhere.example.net", ca.Roots, time.Time{}); err == nil || c != nil {
		t.Errorf("a foreign name was vouched for: %v", c)
	}
	if n, _ := w.asked(); ca.Issued() != 2 || n < 2 {
		t.Errorf("%d certificates, %d validations", ca.Issued(), n)
	}
	st := m.Status()
	if e := s.Expiries(); len(e) != 2 || e[0].Names[0] != "www.example.com" || e[0].Until.IsZero() || e[0].Problem != "" {
		t.Errorf("expiries %+v", e)
	}
	if len(st) != 2 || st[0].Name != "example.com" || st[0].Error != "" || st[0].NotAfter.Before(time.Now()) || st[0].CA == "" {
		t.Errorf("status %+v", st)
	}
	keys := 0
	err := filepath.WalkDir(cfg.Storage, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err == nil && i.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, i.Mode())
		}
		if strings.HasSuffix(name, ".key") || strings.Contains(name, "accounts") {
			keys++
		}
		if strings.Contains(name, "challenges") || strings.HasSuffix(name, ".lock") {
			t.Errorf("%s was left behind", name)
		}
		return err
	})
	if err != nil || keys != 3 {
		t.Errorf("%d keys in storage, want 2 of certificates and 1 of the account: %v", keys, err)
	}
}

// Where port 80 is closed the authority is answered by TLS.
func TestByTLSOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca := acmetest.Start(t, acmetest.Options{TLSPort: w.alpnPort, HTTPPort: 1})
	s := serve(t, open(t, settings(t, ca), w), "example.com")
	until(t, "certificate", func() bool { _, err := shown(s, "example.com", ca.Roots, time.Time{}); return err == nil })
	if _, n := w.asked(); n == 0 {
		t.Error("not validated by TLS")
	}
}

// A key type that is asked for is the certificate's.
func TestKeyType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort})
	cfg := settings(t, ca)
	cfg.KeyType = "rsa2048"
	s := serve(t, open(t, cfg, w), "example.com")
	until(t, "certificate", func() bool { _, err := shown(s, "example.com", ca.Roots, time.Time{}); return err == nil })
	c, err := shown(s, "example.com", ca.Roots, time.Time{})
	if err != nil || c.PublicKeyAlgorithm.String() != "RSA" {
		t.Errorf("%v %v", c, err)
	}
}

// An authority that binds accounts to its own gets the proof, and nobody without one
// gets an account.
func TestExternalAccount(t *testing.T) {
	t.Parallel()
	const mac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	w := newWorld(t)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort, EAB: map[string]string{"kid-1": mac}})
	without := settings(t, ca)
	m := open(t, without, w)
	serve(t, m, "example.com")
	until(t, "refusal", func() bool { return strings.Contains(m.Status()[0].Error, "externalAccountRequired") })
	m.Close()

	with := settings(t, ca)
	with.CAs[0].KeyID, with.CAs[0].MAC = "kid-1", mac
	s := serve(t, open(t, with, w), "example.com")
	until(t, "certificate", func() bool { _, err := shown(s, "example.com", ca.Roots, time.Time{}); return err == nil })
}

// What one authority refuses, the next is asked for; what all refuse is said, and
// tried again.
func TestSeveralAuthorities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	strict := acmetest.Start(t, acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort, Blocked: []string{"example.com", "example.net"}})
	other := acmetest.Start(t, acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort, Blocked: []string{"example.net"}})
	m := open(t, settings(t, strict, other), w)
	s := serve(t, m, "example.com", "example.net")
	until(t, "certificate", func() bool { _, err := shown(s, "example.com", other.Roots, time.Time{}); return err == nil })
	until(t, "reason", func() bool { return strings.Contains(m.Status()[1].Error, "rejectedIdentifier") })
	_, err := shown(s, "example.net", other.Roots, time.Time{})
	if err == nil || !strings.Contains(err.Error(), "no certificate for example.net") || !strings.Contains(err.Error(), "rejectedIdentifier") {
		t.Errorf("the handshake does not say why: %v", err)
	}
	if e := s.Expiries(); len(e) != 2 || !e[1].Until.IsZero() || !strings.Contains(e[1].Problem, "rejectedIdentifier") {
		t.Errorf("expiries %+v", e)
	}
}

// An authority that was set up anew knows no account: another is made.
func TestForgottenAccount(t *testing.T) {
	w := newWorld(t)
	o := acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort}
	ca := acmetest.Start(t, o)
	cfg := settings(t, ca)
	m := open(t, cfg, w)
	s := serve(t, m, "example.com")
	until(t, "certificate", func() bool { return m.find("example.com") != nil })
	s.Close()
	m.Close()
	ca.Stop()

	o.Address = ca.Address
	again := acmetest.Start(t, o)
	roots, err := os.ReadFile(again.RootFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg.CAs[0].Roots = roots
	s = serve(t, open(t, cfg, w), "example.com", "www.example.com")
	until(t, "second certificate", func() bool {
		_, err := shown(s, "www.example.com", again.Roots, time.Time{})
		return err == nil
	})
}
