package acme

import (
	"crypto/x509"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/acme/acmetest"
)

// A certificate of short life is renewed while it serves, and no handshake fails.
func TestRenewal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort, Lifetime: 3 * time.Second})
	m := open(t, settings(t, ca), w)
	s := serve(t, m, "example.com")
	until(t, "certificate", func() bool { return m.find("example.com") != nil })
	serials := map[string]bool{}
	handshakes := 0
	until(t, "two renewals", func() bool {
		c, err := shown(s, "example.com", ca.Roots, time.Time{})
		if err != nil {
			t.Fatalf("after %d handshakes: %v", handshakes, err)
		}
		handshakes++
		serials[c.SerialNumber.String()] = true
		return len(serials) >= 3
	})
	if ca.Replacing() == 0 {
		t.Error("no order named the certificate that it replaces (RFC 9773 §5)")
	}
}

// What storage holds serves at a start, also if the authority is away; what it does
// not hold fails with the reason, and is had as soon as the authority is back.
func TestAuthorityAwayAtStart(t *testing.T) {
	w := newWorld(t)
	o := acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort}
	ca := acmetest.Start(t, o)
	cfg := settings(t, ca)
	m := open(t, cfg, w)
	s := serve(t, m, "example.com")
	until(t, "certificate", func() bool { return m.find("example.com") != nil })
	first, err := shown(s, "example.com", ca.Roots, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	m.Close()
	ca.Stop()

	m = open(t, cfg, w)
	s = m.Source([]string{"example.com", "new.example.com"})
	s.Load()
	t.Cleanup(s.Close)
	c, err := shown(s, "example.com", ca.Roots, time.Time{}) // at once: nothing was started
	if err != nil || !c.Equal(first) {
		t.Fatalf("from storage: %v", err)
	}
	s.Start()
	until(t, "reason", func() bool {
		_, err := shown(s, "new.example.com", ca.Roots, time.Time{})
		return err != nil && strings.Contains(err.Error(), "connection refused")
	})
	o.Address, o.DNS = ca.Address, ca.DNS
	back := acmetest.Start(t, o)
	// It comes back with another certificate of its own, which only another Manager
	// trusts, as after the `root` file was changed and the configuration reloaded.
	if cfg.CAs[0].Roots, err = os.ReadFile(back.RootFile); err != nil {
		t.Fatal(err)
	}
	s = serve(t, open(t, cfg, w), "example.com", "new.example.com")
	until(t, "new certificate", func() bool { _, err := shown(s, "new.example.com", back.Roots, time.Time{}); return err == nil })
	if c, err := shown(s, "example.com", ca.Roots, time.Time{}); err != nil || !c.Equal(first) {
		t.Errorf("the old certificate was given up: %v", err)
	}
}

// Two nodes on one storage have one certificate issued, and either answers for the
// other.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	a, b := newWorld(t), newWorld(t)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: b.httpPort, TLSPort: b.alpnPort})
	cfg := settings(t, ca)
	one, two := open(t, cfg, a), open(t, cfg, b)
	// The first begins alone, but the authority asks the second.
	s := serve(t, one, "example.com")
	until(t, "certificate", func() bool { return one.find("example.com") != nil })

	// Both begin at once.
	var started sync.WaitGroup
	sources := make([]*Source, 2)
	for i, m := range []*Manager{one, two} {
		started.Go(func() {
			sources[i] = m.Source([]string{"example.com", "www.example.com"})
			sources[i].Load()
			sources[i].Start()
		})
	}
	started.Wait()
	for _, s := range sources {
		t.Cleanup(s.Close)
	}
	var got [2]*x509.Certificate
	for i, s := range sources {
		until(t, "certificate of a node", func() bool {
			c, err := shown(s, "www.example.com", ca.Roots, time.Time{})
			got[i] = c
			return err == nil
		})
	}
	if !got[0].Equal(got[1]) || ca.Issued() != 2 {
		t.Errorf("%d certificates for two names, equal: %t", ca.Issued(), got[0].Equal(got[1]))
	}
	s.Close()
	if one.find("example.com") == nil {
		t.Error("a certificate went with the first of two sites that use it")
	}
}

// What no site uses any more is let go of.
func TestRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort})
	m := open(t, settings(t, ca), w)
	s := serve(t, m, "example.com")
	until(t, "certificate", func() bool { return m.find("example.com") != nil })
	s.Close()
	if m.find("example.com") != nil || len(m.Status()) != 0 {
		t.Errorf("kept: %+v", m.Status())
	}
	if s.Start(); len(m.Status()) != 0 {
		t.Error("started after its end")
	}
}
