package graph_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAutomaticDiagnostics(t *testing.T) {
	dir := withCertificate(t)
	if err := os.WriteFile(filepath.Join(dir, "hook"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	const private = "acme ca https://10.0.0.1/dir root root.crt"
	diagnosed(t, dir, map[string]wrong{
		"automatic":             {"example.com {\n respond ok\n}", "", ""},
		"automatic, explicit":   {"https://example.com {\n tls min_version 1.3\n respond ok\n}", "", ""},
		"automatic, a stream":   {"tls://mail.example.com:993 {\n acme dns exec hook\n proxy 127.0.0.1:143\n}", "", ""},
		"not public":            {"https://localhost {\n respond ok\n}", "1:1", "automatic-name-not-public"},
		"not public: address":   {"https://10.0.0.7 {\n respond ok\n}", "1:1", "automatic-name-not-public"},
		"not public: stream":    {"tls://mail.localhost:993 {\n proxy 127.0.0.1:143\n}", "1:1", "automatic-name-not-public"},
		"not public: reserved":  {"https://a.test {\n respond ok\n}", "1:1", "automatic-name-not-public"},
		"not public: home":      {"https://nas.home.arpa {\n respond ok\n}", "1:1", "automatic-name-not-public"},
		"not public: _":         {"https://a_b.example.com {\n respond ok\n}", "1:1", "automatic-name-not-public"},
		"not public: wildcard":  {"https://*.lan {\n respond ok\n}", "1:1", "automatic-name-not-public"},
		"not public: hyphen":    {"https://a-.example.com {\n respond ok\n}", "1:1", "automatic-name-not-public"},
		"private authority":     {"https://db.local {\n " + private + "\n respond ok\n}", "", ""},
		"private, of all":       {"{\n " + private + "\n}\nhttps://db.local {\n respond ok\n}", "", ""},
		"private, but not here": {"{\n " + private + "\n}\nhttps://db.local {\n acme ca letsencrypt\n respond ok\n}", "4:1", "automatic-name-not-public"},
		"no name":               {"https://:443 {\n respond ok\n}", "1:1", "no-certificate"},
		"no name, on demand":    {"https://:443 {\n acme on_demand http://127.0.0.1:9/ask\n respond ok\n}", "", ""},
		"demand without a URL":  {"https://:443 {\n acme on_demand ask\n respond ok\n}", "2:7", "bad-acme"},
		"wildcard":              {"*.example.com {\n respond ok\n}", "1:1", "wildcard-without-dns-challenge"},
		"wildcard, by DNS":      {"*.example.com {\n acme dns webhook http://127.0.0.1:9/\n respond ok\n}", "", ""},
		"no hook":               {"*.example.com {\n acme dns exec gone\n respond ok\n}", "2:7", "unreadable-file"},
		"hook is no program":    {"*.example.com {\n acme dns exec root.crt\n respond ok\n}", "2:7", "bad-acme"},
		"webhook is no URL":     {"*.example.com {\n acme dns webhook localhost\n respond ok\n}", "2:7", "bad-acme"},
		"ports":                 {"https://example.com:8443 {\n respond ok\n}", "1:1", "challenge-port-not-listened"},
		"ports, by http":        {"https://example.com:8443 {\n respond ok\n}\nhttp://example.net {\n respond ok\n}", "", ""},
		"ports, one challenge":  {"https://example.com {\n acme challenge http\n tls redirect off\n respond ok\n}", "1:1", "challenge-port-not-listened"},
		"named and automatic":   {"example.com {\n tls internal\n acme email a@example.com\n respond ok\n}", "3:2", "tls-conflict"},
		"off and automatic":     {"example.com {\n tls off\n acme email a@example.com\n respond ok\n}", "3:2", "tls-conflict"},
		"said once":             {"{\n acme email ops\n}\nexample.com {\n respond ok\n}\nexample.net {\n respond ok\n}", "2:7", "bad-acme"},
		"unused, but wrong":     {"{\n acme email ops\n}\nhttp://example.com {\n respond ok\n}", "2:7", "bad-acme"},
		"automatic in clear":    {"http://example.com {\n acme email a@example.com\n respond ok\n}", "2:2", "tls-in-clear-site"},
		"no mail address":       {"{\n acme email ops\n}\nexample.com {\n respond ok\n}", "2:7", "bad-acme"},
		"no authority":          {"{\n acme ca letsencript\n}\nexample.com {\n respond ok\n}", "2:7", "bad-acme"},
		"authority in clear":    {"{\n acme ca http://ca.example.com/dir\n}\nexample.com {\n respond ok\n}", "2:7", "bad-acme"},
		"authority without EAB": {"{\n acme ca zerossl\n}\nexample.com {\n respond ok\n}", "2:7", "bad-acme"},
		"EAB is no base64url":   {"{\n acme ca zerossl eab id a+b/c\n}\nexample.com {\n respond ok\n}", "2:18", "bad-acme"},
		"no root":               {"{\n acme ca https://10.0.0.1/ root gone.crt\n}\nexample.com {\n respond ok\n}", "2:28", "unreadable-file"},
		"root is no root":       {"{\n acme ca https://10.0.0.1/ root root.key\n}\nexample.com {\n respond ok\n}", "2:28", "bad-acme"},
	})
}

// A first handshake on demand has the time to wait for its certificate, unless the
// site says otherwise.
func TestOnDemandHandshake(t *testing.T) {
	const demand = "acme on_demand http://127.0.0.1:9/ask\n respond ok\n}\n"
	for name, c := range map[string]struct {
		text string
		want time.Duration
	}{
		"usual":     {"https://:443 {\n tls internal\n respond ok\n}\n", 5 * time.Second},
		"on demand": {"https://:443 {\n " + demand, 35 * time.Second},
		"told":      {"https://:443 {\n timeout handshake 7s\n " + demand, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			g, found := buildIn(t, t.TempDir(), c.text)
			if g == nil {
				t.Fatal(found)
			}
			for _, l := range g.Listeners {
				if l.Secure() && l.Network == "tcp" && l.Limits.Handshake != c.want {
					t.Errorf("%s, want %s", l.Limits.Handshake, c.want)
				}
			}
		})
	}
}
