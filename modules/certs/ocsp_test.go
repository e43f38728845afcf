package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

func TestStaple(t *testing.T) {
	m := newMaker(t)
	var leaf *x509.Certificate
	var answer atomic.Pointer[ocsp.Response]
	var broken atomic.Bool
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		q, err := ocsp.ParseRequest(body)
		if err != nil || q.SerialNumber.Cmp(leaf.SerialNumber) != 0 || r.Header.Get("Content-Type") != "application/ocsp-request" {
			t.Errorf("the question is %v (%v)", q, err)
		}
		if broken.Load() {
			w.WriteHeader(500)
			return
		}
		tpl := *answer.Load()
		tpl.SerialNumber = leaf.SerialNumber
		raw, err := ocsp.CreateResponse(m.root, m.root, tpl, m.key)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(raw)
	}))
	defer responder.Close()
	leaf = m.issue("a", ecKey(t), func(c *x509.Certificate) { c.OCSPServer = []string{responder.URL} }, "a.test")
	m.text("a.crt", m.read("a.crt")+m.read("ca.crt"))
	s := NewStore(m.files("a"), true, quiet)
	e := s.sets[0].entries[0]
	staple := func() []byte {
		c, err := s.Certificate(&tls.ClientHelloInfo{ServerName: "a.test"})
		if err != nil {
			t.Fatal(err)
		}
		return c.OCSPStaple
	}
	now := time.Now()
	for _, c := range []struct {
		what   string
		status int
		from   time.Time
		until  time.Time
		good   bool
	}{
		{"good", ocsp.Good, now.Add(-time.Hour), now.Add(time.Hour), true},
		{"revoked", ocsp.Revoked, now.Add(-time.Hour), now.Add(time.Hour), false},
		{"stale", ocsp.Good, now.Add(-2 * time.Hour), now.Add(-time.Hour), false},
		{"of the future", ocsp.Good, now.Add(time.Hour), now.Add(2 * time.Hour), false},
	} {
		e.setStaple(nil)
		e.ocsp = noStaple
		answer.Store(&ocsp.Response{Status: c.status, ThisUpdate: c.from, NextUpdate: c.until, RevokedAt: now, IssuerHash: crypto.SHA1})
		s.ask(e)
		if (staple() != nil) != c.good {
			t.Errorf("%s: stapled %t", c.what, staple() != nil)
		}
		if c.good && !e.ocsp.next.Before(c.until) {
			t.Errorf("asks again at %v only", e.ocsp.next)
		}
	}
	// A responder that fails leaves the staple while it is fresh, and no longer.
	answer.Store(&ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)})
	e.ocsp = noStaple
	s.ask(e)
	broken.Store(true)
	s.ask(e)
	if staple() == nil || e.ocsp.failures != 1 || !e.ocsp.next.After(now) {
		t.Error("a failing responder takes a fresh staple away, or is asked without pause")
	}
	e.ocsp.until = now.Add(-time.Second)
	s.staples()
	if staple() != nil {
		t.Error("a stale answer is stapled")
	}
	// It is asked in the background once the store looks.
	broken.Store(false)
	s.mu.Lock()
	e.ocsp = noStaple
	s.mu.Unlock()
	s.look()
	for deadline := time.Now().Add(10 * time.Second); staple() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody asked")
		}
	}
}

var noStaple staple
