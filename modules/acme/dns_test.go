package acme

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/acme/acmetest"
)

// A wildcard is had by DNS-01: a program makes the record, the zone is looked at
// until it is there, and it is taken away again.
func TestWildcardByProgram(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	dns := acmetest.StartDNS(t)
	dns.File = filepath.Join(dir, "records")
	hook := filepath.Join(dir, "hook")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\necho \"$@\" >> "+dns.File+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ca := acmetest.Start(t, acmetest.Options{DNS: dns})
	cfg := settings(t, ca)
	cfg.DNS = DNS{Program: []string{hook, "zone-a"}, Resolvers: []string{dns.Address}, Wait: patience}
	s := serve(t, open(t, cfg, w), "*.example.test")
	until(t, "certificate", func() bool {
		c, err := shown(s, "any.example.test", ca.Roots, time.Time{})
		return err == nil && c.DNSNames[0] == "*.example.test"
	})
	until(t, "cleaning up", func() bool {
		text, err := os.ReadFile(dns.File)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return len(lines) == 2 && strings.HasPrefix(lines[0], "zone-a present _acme-challenge.example.test. ") &&
			lines[1] == strings.Replace(lines[0], present, cleanup, 1)
	})
}

// A webhook does the same; without a wait nobody looks.
func TestWildcardByWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dns := acmetest.StartDNS(t)
	hook := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var in struct{ FQDN, Value string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		switch r.URL.Path {
		case "/dns/present":
			dns.Set(in.FQDN, in.Value)
		case "/dns/cleanup":
			dns.Unset(in.FQDN)
		default:
			t.Errorf("path %s", r.URL.Path)
		}
	}))
	defer hook.Close()
	ca := acmetest.Start(t, acmetest.Options{DNS: dns})
	cfg := settings(t, ca)
	cfg.DNS = DNS{URL: hook.URL + "/dns/", Delay: time.Millisecond, Wait: -1}
	s := serve(t, open(t, cfg, w), "*.example.com", "example.com")
	for _, name := range []string{"any.example.com", "example.com"} {
		until(t, name, func() bool { _, err := shown(s, name, ca.Roots, time.Time{}); return err == nil })
	}
}

// Who cannot change a name's own zone has its _acme-challenge stand for a name in
// another one, and the hook writes there: it is still told of the name that is proved.
func TestDelegatedByCNAME(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dns := acmetest.StartDNS(t)
	dns.Alias("_acme-challenge.example.com.", "a1b2.proofs.test.")
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var in struct{ FQDN, Value string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.FQDN != "_acme-challenge.example.com." {
			t.Errorf("%+v %v", in, err)
		}
		if r.URL.Path == "/present" {
			dns.Set("a1b2.proofs.test.", in.Value)
		} else {
			dns.Unset("a1b2.proofs.test.")
		}
	}))
	defer hook.Close()
	ca := acmetest.Start(t, acmetest.Options{DNS: dns})
	cfg := settings(t, ca)
	cfg.DNS = DNS{URL: hook.URL, Resolvers: []string{dns.Address}, Wait: patience}
	s := serve(t, open(t, cfg, w), "*.example.com")
	until(t, "certificate", func() bool { _, err := shown(s, "any.example.com", ca.Roots, time.Time{}); return err == nil })
}

// What a hook says of its failure is in the error.
func TestHookFailures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hook := filepath.Join(dir, "hook")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\necho no such zone >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	refuses := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		http.Error(rw, "no such zone", http.StatusForbidden)
	}))
	defer refuses.Close()
	for name, c := range map[string]struct {
		dns  DNS
		want []string
	}{
		"program":    {DNS{Program: []string{hook}}, []string{"exit status 3", "no such zone"}},
		"no program": {DNS{Program: []string{filepath.Join(dir, "gone")}}, []string{"gone"}},
		"webhook":    {DNS{URL: refuses.URL}, []string{"403", "no such zone"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.dns.newHook()(context.Background(), present, "_acme-challenge.example.com.", "value")
			for _, w := range c.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("%v, want %q in it", err, w)
				}
			}
		})
	}
	if s := excerpt([]byte(strings.Repeat("word \n", 200))); len(s) > 310 || strings.Contains(s, "\n") {
		t.Errorf("excerpt of %d bytes", len(s))
	}
}
