package graph_test

import (
	"slices"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Port 80 sends to https where no http site has the name.
func TestRedirects(t *testing.T) {
	const answers = " tls internal\n respond ok\n}\n"
	for name, c := range map[string]struct {
		text, host string
		site       string // which answers at port 80, "": nobody listens there
	}{
		"automatic":               {"example.com {\n respond ok\n}", "example.com", "example.com (redirected)"},
		"own certificate":         {"https://localhost {\n" + answers, "localhost", "https://localhost (redirected)"},
		"switched off":            {"example.com {\n tls redirect off\n respond ok\n}", "example.com", ""},
		"tls off":                 {"example.com {\n tls off\n respond ok\n}", "example.com", "example.com"},
		"another port":            {"https://localhost:8443 {\n" + answers, "localhost", ""},
		"stream":                  {"tls://mail.localhost:443 {\n tls internal\n proxy 127.0.0.1:143\n}", "mail.localhost", ""},
		"claimed":                 {"example.com {\n respond ok\n}\nhttp://example.com {\n respond ok\n}", "example.com", "http://example.com"},
		"claimed by itself":       {"example.com, http://example.com {\n respond ok\n}", "example.com", "example.com"},
		"claimed by a wildcard":   {"a.example.com {\n respond ok\n}\nhttp://*.example.com {\n respond ok\n}", "a.example.com", "http://*.example.com"},
		"all hosts, bare":         {"example.com {\n respond ok\n}\nhttp:// {\n respond ok\n}", "example.com", "example.com (redirected)"},
		"all hosts, explicit":     {"https://localhost {\n" + answers + "http:// {\n respond ok\n}", "localhost", "http://"},
		"another name is claimed": {"example.com, www.example.com {\n respond ok\n}\nhttp://example.com {\n respond ok\n}", "www.example.com", "example.com (redirected)"},
		"every name":              {"https://:443 {\n" + answers, "any.example.net", "https://:443 (redirected)"},
		"taken by a stream":       {"example.com {\n respond ok\n}\ntcp://:80 {\n proxy 127.0.0.1:143\n}", "example.com", ""},
		"bound":                   {"example.com {\n bind 127.0.0.1\n respond ok\n}", "example.com", "example.com (redirected)"},
		"bound elsewhere":         {"example.com {\n bind 127.0.0.1\n respond ok\n}\nhttp:// {\n bind 127.0.0.2\n respond ok\n}", "example.com", "example.com (redirected)"},
		"bound across":            {"example.com {\n respond ok\n}\nhttp:// {\n bind 127.0.0.2\n respond ok\n}", "example.com", "http://"},
	} {
		t.Run(name, func(t *testing.T) {
			g, found := buildIn(t, t.TempDir(), c.text)
			if g == nil {
				t.Fatal(found)
			}
			var got []string
			for _, l := range g.Listeners {
				if !l.Web() || l.Secure() {
					continue
				}
				x := &flow.Exchange{Conn: &flow.Conn{}}
				x.Req.Host = []byte(c.host)
				if s := l.Site(x); x.Fault == nil {
					got = append(got, s.Name)
				}
			}
			if c.site == "" && len(got) > 0 || c.site != "" && !slices.Contains(got, c.site) {
				t.Errorf("%q, want %q", got, c.site)
			}
		})
	}
}
