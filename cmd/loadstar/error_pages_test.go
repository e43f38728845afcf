package main_test

import (
	"fmt"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// Pages of the global options stand for all sites; a site's own come before them,
// status by status, and the built-in ones behind both.
func TestErrorPagesBySiteAndStatus(t *testing.T) {
	t.Parallel()
	ports := e2e.Ports(t, 2)
	e2e.RunDaemon(t, fmt.Sprintf(`{
	admin unix/{dir}/admin.sock
	error 403,502-504 "<p>default</p>"
}
http://:%d {
	log off
	deny /secret
	respond /gone 404
	deny /other 405
	proxy none
}
http://:%d {
	log off
	error 503 "{\"down\":true}" type application/json
	deny /secret
	proxy none
}
pool none {
	server one 127.0.0.1:1
}
`, ports[0], ports[1]), ports...)
	for _, tt := range []struct {
		port        int
		path        string
		status      int
		contentType string
		body        string
	}{
		{ports[0], "/secret", 403, "text/html; charset=utf-8", "<p>default</p>"},
		{ports[0], "/", 503, "text/html; charset=utf-8", "<p>default</p>"},
		{ports[0], "/other", 405, "text/html", ""},
		{ports[1], "/secret", 403, "text/html; charset=utf-8", "<p>default</p>"},
		{ports[1], "/", 503, "application/json", `{"down":true}`},
	} {
		c := e2e.Dial(t, tt.port)
		c.Send("GET " + tt.path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		a := c.Answer("GET")
		if a.Status != tt.status || a.Header.Get("Content-Type") != tt.contentType || tt.body != "" && a.Body != tt.body {
			t.Errorf("port %d %s: %d %q %q", tt.port, tt.path, a.Status, a.Header.Get("Content-Type"), a.Body)
		}
	}
}
