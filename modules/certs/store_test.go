package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// shown does a handshake in memory and gives the subject's common name, or the error.
func shown(t *testing.T, server, client *tls.Config) string {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _ = tls.Server(a, server).Handshake() }()
	c := tls.Client(b, client)
	if err := c.Handshake(); err != nil {
		return err.Error()
	}
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestChoice(t *testing.T) {
	m := newMaker(t)
	m.issue("rsa", rsaKey(t), nil, "www.example.com", "10.0.0.1")
	m.issue("ec", ecKey(t), nil, "www.example.com")
	m.issue("wild", ecKey(t), nil, "*.example.com")
	s := NewStore(m.files("rsa", "ec", "wild"), false, quiet)
	defer s.Close()
	p := NewPolicy(Settings{MinVersion: tls.VersionTLS12}, s)
	rsaOnly := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, c := range []struct {
		name   string
		client *tls.Config
		want   string
	}{
		{"www.example.com", &tls.Config{}, "ec"},
		{"WWW.example.com", &tls.Config{MaxVersion: tls.VersionTLS12}, "ec"},
		{"www.example.com", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: rsaOnly}, "rsa"},
		{"img.example.com", &tls.Config{}, "wild"},
		{"a.img.example.com", &tls.Config{}, "ec"}, // nobody's: the first one, in its best form
		{"", &tls.Config{}, "ec"},
		{"", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: rsaOnly}, "rsa"},
	} {
		c.client.ServerName, c.client.InsecureSkipVerify = c.name, true
		if got := shown(t, p.Config(), c.client); got != c.want {
			t.Errorf("%q: %s, want %s", c.name, got, c.want)
		}
	}
}

// has tells whether findings hold one of a rule.
func has(found []Finding, rule string) bool {
	for _, f := range found {
		if f.Rule == rule {
			return true
		}
	}
	return false
}

func TestCheck(t *testing.T) {
	m := newMaker(t)
	m.issue("good", ecKey(t), nil, "a.test", "*.b.test", "10.0.0.1")
	m.issue("other", ecKey(t), nil, "other.test")
	m.issue("old", ecKey(t), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "a.test")
	m.issue("soon", ecKey(t), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Hour) }, "a.test")
	m.issue("early", ecKey(t), func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, "a.test")
	m.issue("short", ecKey(t), func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://ca.test/ca.crt"} }, "a.test")
	m.issue("open", ecKey(t), nil, "a.test")
	if err := os.Chmod(m.path("open.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.text("half.crt", m.read("good.crt")+m.read("good.crt")[:200])
	m.text("none.crt", "nothing here\n")
	m.text("junk.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	m.text("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	m.text("all.pem", m.read("good.key")+m.read("good.crt")+m.read("ca.crt"))
	if err := os.Mkdir(m.path("empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cert, key, name, rule string
		message               string
	}{
		{"good.crt", "good.key", "a.test", "", ""},
		{"good.crt", "good.key", "*.b.test", "", ""},
		{"good.crt", "good.key", "x.b.test", "", ""},
		{"good.crt", "good.key", "10.0.0.1", "", ""},
		{"all.pem", "", "a.test", "", ""},
		{"good.crt", "good.key", "c.test", "name-not-covered", `"c.test"`},
		{"good.crt", "good.key", "*.a.test", "name-not-covered", `"*.a.test"`},
		{"good.crt", "other.key", "", "key-mismatch", "other.key"},
		{"old.crt", "old.key", "", "certificate-expired", "a.test expired on"},
		{"soon.crt", "soon.key", "", "certificate-expiring", "expires on"},
		{"early.crt", "early.key", "", "certificate-not-yet-valid", "not valid before"},
		{"short.crt", "short.key", "", "incomplete-chain", "issuer"},
		{"open.crt", "open.key", "", "key-readable-by-all", "open.key"},
		{"half.crt", "good.key", "", "bad-pem", "inside a PEM block"},
		{"none.crt", "good.key", "", "bad-certificate", "no certificate"},
		{"junk.crt", "good.key", "", "bad-certificate", "cannot be read"},
		{"good.crt", "locked.key", "", "bad-key", "encrypted"},
		{"good.crt", "good.crt", "", "bad-key", "no private key"},
		{"gone.crt", "good.key", "", "unreadable-file", "no such file"},
		{"good.crt", "", "", "bad-key", "no private key"},
		{"gone", "", "", "unreadable-file", "gone"},
		{"empty", "", "", "no-certificates", "empty"},
	} {
		f := Files{Cert: m.path(c.cert)}
		if c.key != "" {
			f.Key = m.path(c.key)
		}
		found := NewStore([]Files{f}, false, quiet).Check([]string{c.name})
		switch {
		case c.rule == "" && len(found) > 0:
			t.Errorf("%s %s %s: %v", c.cert, c.key, c.name, found)
		case c.rule != "" && (len(found) != 1 || found[0].Rule != c.rule || !strings.Contains(found[0].Message, c.message)):
			t.Errorf("%s %s: %v, want %s with %q", c.cert, c.key, found, c.rule, c.message)
		}
	}
}

func TestDirectory(t *testing.T) {
	m := newMaker(t)
	m.issue("a", ecKey(t), nil, "a.test")
	m.issue("b", ecKey(t), nil, "b.test")
	m.text("a-full.pem", m.read("a.crt")+m.read("ca.crt")) // certbot's fullchain.pem beside cert.pem
	s := NewStore([]Files{{Cert: m.dir}}, false, quiet)
	if found := s.Check([]string{"a.test", "b.test"}); len(found) != 0 {
		t.Error(found)
	}
	a := s.table.Load().find("a.test")
	if len(a) != 1 || len(a[0].chain) != 2 {
		t.Errorf("%d certificates for a.test", len(a))
	}
	kept := s.table.Load().find("b.test")[0]
	m.issue("c", ecKey(t), nil, "c.test")
	s.Refresh()
	if l := s.table.Load().find("c.test"); len(l) != 1 {
		t.Error("what is new in the directory is not found")
	}
	if s.table.Load().find("b.test")[0] != kept {
		t.Error("what did not change lost what was known of it")
	}
}

func TestLastGood(t *testing.T) {
	m := newMaker(t)
	m.issue("a", ecKey(t), nil, "a.test")
	s := NewStore(m.files("a"), false, quiet)
	first := s.table.Load().find("a.test")[0].leaf
	good := m.read("a.crt")
	m.issue("b", ecKey(t), nil, "a.test")
	m.text("a.crt", m.read("b.crt")) // its key has not come yet
	s.Refresh()
	if got := s.table.Load().find("a.test")[0].leaf; !got.Equal(first) {
		t.Error("half a renewal is served")
	}
	if !has(s.Check(nil), "key-mismatch") {
		t.Error("half a renewal is not reported")
	}
	m.text("a.key", m.read("b.key"))
	s.Refresh()
	if got := s.table.Load().find("a.test")[0].leaf; got.Equal(first) {
		t.Error("the renewal is not served")
	}
	m.text("a.crt", good[:100])
	s.Refresh()
	if s.table.Load().find("a.test") == nil {
		t.Error("a broken file leaves nothing")
	}
}

func TestClientCertificate(t *testing.T) {
	m := newMaker(t)
	c := m.issue("a", ecKey(t), nil, "a.test")
	s := NewStore(m.files("a"), false, quiet)
	got, err := s.ClientCertificate(nil)
	if err != nil || !got.Leaf.Equal(c) {
		t.Error(got, err)
	}
	empty := NewStore([]Files{{Cert: m.path("none"), Key: m.path("none")}}, false, quiet)
	if _, err := empty.ClientCertificate(nil); err == nil {
		t.Error("a certificate out of nothing")
	}
	if _, err := empty.Certificate(&tls.ClientHelloInfo{}); err == nil {
		t.Error("a certificate out of nothing")
	}
}

// The cost of finding a certificate does not depend on how many there are.
func TestChooseAllocatesNothing(t *testing.T) {
	m := newMaker(t)
	m.issue("a", ecKey(t), nil, "a.test")
	s := NewStore(m.files("a"), false, quiet)
	h := &tls.ClientHelloInfo{ServerName: "a.test"}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.Certificate(h); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Error(n, "allocations")
	}
}
