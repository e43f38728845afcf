package acme

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/loadstar-lb/loadstar/modules/acme/acmetest"
)

// On demand a name that is permitted gets its certificate within its first
// handshake, and one that is not gets none, without an order.
func TestOnDemand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var asked sync.Map
	var closed atomic.Bool
	ask := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("domain")
		n, _ := asked.LoadOrStore(name, new(atomic.Int64))
		if c, ok := n.(*atomic.Int64); ok {
			c.Add(1)
		}
		if !strings.HasSuffix(name, ".good.test") || closed.Load() || r.URL.Query().Get("key") != "k" {
			http.Error(rw, "no", http.StatusForbidden)
		}
	}))
	defer ask.Close()
	times := func(name string) int64 {
		if n, ok := asked.Load(name); ok {
			if c, ok := n.(*atomic.Int64); ok {
				return c.Load()
			}
		}
		return 0
	}
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort})
	cfg := settings(t, ca)
	cfg.Ask = ask.URL + "/?key=k"
	m := open(t, cfg, w)
	s := serve(t, m, "")
	if len(m.Status()) != 0 || ca.Orders() != 0 {
		t.Error("something was ordered before anybody asked")
	}
	var all sync.WaitGroup
	for range 8 { // together: one order
		all.Go(func() {
			if _, err := shown(s, "One.good.test", ca.Roots, time.Time{}); err != nil {
				t.Errorf("permitted: %v", err)
			}
		})
	}
	all.Wait()
	if ca.Issued() != 1 || times("one.good.test") != 1 {
		t.Errorf("%d certificates, asked %d times", ca.Issued(), times("one.good.test"))
	}
	if e := s.Expiries(); len(e) != 1 || e[0].Names[0] != "one.good.test" || e[0].Until.IsZero() {
		t.Errorf("reported: %+v", e)
	}
	for range 3 {
		if _, err := shown(s, "two.bad.test", ca.Roots, time.Time{}); err == nil || !strings.Contains(err.Error(), "may not have a certificate") {
			t.Errorf("not permitted: %v", err)
		}
	}
	if times("two.bad.test") != 1 || ca.Orders() != 1 {
		t.Errorf("asked %d times about a name that was refused; %d orders", times("two.bad.test"), ca.Orders())
	}
	for _, name := range []string{"127.0.0.1", "a_b.good.test", strings.Repeat("a.", 130) + "good.test"} {
		if err := func() error { _, err := s.onDemand(nil, name); return err }(); err == nil {
			t.Errorf("%.20s: a certificate", name)
		}
	}

	m.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: "one.good.test"}})
	if e := s.Expiries(); len(e) != 0 || len(m.ask.had) != 0 {
		t.Errorf("still reported: %+v", e)
	}

	// What was permitted is asked about again before it is renewed.
	closed.Store(true)
	if err := m.event(t.Context(), "cert_obtaining", map[string]any{"identifier": "one.good.test", "renewal": true}); err == nil {
		t.Error("renewed without permission")
	}

	// Another process has it from storage, but asks, too.
	closed.Store(false)
	again := serve(t, open(t, cfg, w), "*.good.test")
	if _, err := shown(again, "one.good.test", ca.Roots, time.Time{}); err != nil || ca.Issued() != 1 {
		t.Errorf("from storage: %v, %d certificates", err, ca.Issued())
	}
	if _, err := shown(again, "one.other.test", ca.Roots, time.Time{}); err == nil || !strings.Contains(err.Error(), "none of the site's names") {
		t.Errorf("a name that is not the site's: %v", err)
	}
}

// Clients that name ever new hosts cost a bounded amount.
func TestDemandIsBounded(t *testing.T) {
	t.Parallel()
	a := newAsker("http://127.0.0.1:1/")
	var running sync.WaitGroup
	hold := make(chan struct{})
	names := func(i int) string { return strings.Repeat("x", i+1) }
	for i := range demandsAtATime {
		if _, err := a.begin(names(i), func() error { <-hold; return errors.New("no") }, running.Go); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.begin("one-more", func() error { return nil }, running.Go); !errors.Is(err, errBusy) {
		t.Errorf("one more: %v", err)
	}
	if d, err := a.begin(names(0), func() error { t.Error("done twice"); return nil }, running.Go); err != nil || d == nil {
		t.Errorf("one that runs cannot be joined: %v", err)
	}
	close(hold)
	running.Wait()
	if a.running != 0 || len(a.calls) != demandsAtATime {
		t.Errorf("%d run, %d kept", a.running, len(a.calls))
	}
	// As many refusals as are remembered keep nobody from asking for another name.
	for i := range 2 * demandsKept {
		if _, err := a.begin(fmt.Sprint("name-", i), func() error { return errors.New("no") }, running.Go); err != nil {
			t.Fatalf("name %d: %v", i, err)
		}
		running.Wait()
	}
	if len(a.calls) > demandsKept {
		t.Errorf("%d are kept", len(a.calls))
	}
	if !a.purge(time.Now().Add(2*refusedFor)) || len(a.calls) != 0 {
		t.Errorf("%d are kept for ever", len(a.calls))
	}
}
