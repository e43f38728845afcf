package acme

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/acme/acmetest"
)

// Another authority in the configuration does not take away the certificate of the
// one before, until it has issued its own.
func TestAuthorityChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := acmetest.Options{HTTPPort: w.httpPort, TLSPort: w.alpnPort}
	before, after := acmetest.Start(t, o), acmetest.Start(t, o)
	cfg := settings(t, before)
	m := open(t, cfg, w)
	s := serve(t, m, "example.com")
	until(t, "certificate", func() bool { return m.find("example.com") != nil })
	s.Close()
	m.Close()

	cfg.CAs = settings(t, after).CAs
	s = open(t, cfg, w).Source([]string{"example.com"})
	s.Load()
	t.Cleanup(s.Close)
	if _, err := shown(s, "example.com", before.Roots, time.Time{}); err != nil {
		t.Errorf("not adopted: %v", err)
	}
	s.Start()
	until(t, "own certificate", func() bool { _, err := shown(s, "example.com", after.Roots, time.Time{}); return err == nil })
	until(t, "letting go", func() bool { return len(s.manager.cache.AllMatchingCertificates("example.com")) == 1 })
}

// A reload while an order runs lets it run on: there is one.
func TestOrderOutlivesReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := make(chan struct{})
	w.hold = held
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: w.httpPort})
	cfg := settings(t, ca)
	cfg.ALPN = false
	m := open(t, cfg, w)
	first := serve(t, m, "example.com")
	until(t, "the authority's question", func() bool { n, _ := w.asked(); return n > 0 })
	second := serve(t, m, "example.com", "www.example.com")
	first.Close()
	close(held)
	for _, name := range []string{"example.com", "www.example.com"} {
		until(t, name, func() bool { _, err := shown(second, name, ca.Roots, time.Time{}); return err == nil })
	}
	if ca.Orders() != 2 {
		t.Errorf("%d orders for two names", ca.Orders())
	}
}

// What was left behind by a process that was killed goes, what is open stays.
func TestTidy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := Settings{Storage: t.TempDir(), CAs: []CA{{URL: "https://127.0.0.1:1/"}}}
	m := open(t, cfg, w)
	for _, key := range []string{challengeKey("http-01", "old"), challengeKey("tls-alpn-01", "new.test")} {
		if err := m.store.Store(t.Context(), key, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * challengeLife)
	if err := os.Chtimes(filepath.Join(cfg.Storage, challengeKey("http-01", "old")), past, past); err != nil {
		t.Fatal(err)
	}
	m.manage(nil)
	until(t, "tidying", func() bool { _, err := m.store.Stat(t.Context(), "last_clean.json"); return err == nil })
	keys, err := m.store.List(t.Context(), "challenges", true)
	if err != nil || strings.Contains(strings.Join(keys, " "), "old") || !strings.Contains(strings.Join(keys, " "), "new.test") {
		t.Errorf("%v %v", keys, err)
	}
}
