package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// forwarded sends one request and gives it as the origin saw it.
func forwarded(t *testing.T, port int, o *e2e.Origin, raw string) e2e.Message {
	t.Helper()
	c := e2e.Dial(t, port)
	c.Send(raw)
	if a := c.Answer("GET"); a.Status != http.StatusOK {
		t.Fatalf("status %d, %v", a.Status, a.Err)
	}
	c.Close()
	messages, broken := o.Settled(t, port)
	if len(messages) != 1 || len(broken) > 0 {
		t.Fatalf("forwarded: %+v, %q", messages, broken)
	}
	return messages[0]
}

// TestForwardedFields: what a client says about itself and about the hop must
// not pass for what Loadstar says.
func TestForwardedFields(t *testing.T) {
	port, o := front(t)

	t.Run("aliases with an underscore are dropped", func(t *testing.T) {
		m := forwarded(t, port, o, get("Transfer_Encoding: chunked\r\nContent_Length: 9\r\nX_Forwarded_For: 6.6.6.6\r\nX-Kept: yes\r\n"))
		for name := range m.Header {
			if strings.Contains(name, "_") {
				t.Errorf("%s was forwarded", name)
			}
		}
		if m.Header.Get("X-Kept") != "yes" {
			t.Error("an innocent field was dropped")
		}
	})

	t.Run("the family of X-Forwarded-For is removed, then set", func(t *testing.T) {
		m := forwarded(t, port, o, get("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n"+
			"X-Forwarded-Port: 666\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"))
		if got := m.Header.Values("X-Forwarded-For"); len(got) != 1 || got[0] != "127.0.0.1" {
			t.Errorf("X-Forwarded-For: %q", got)
		}
		for name, values := range m.Header {
			for _, v := range values {
				if strings.Contains(v, "6.6.6.6") || strings.Contains(v, "evil") || v == "666" || name == "X-Forwarded-Proto" && v == "https" {
					t.Errorf("%s: %s came through", name, v)
				}
			}
		}
	})

	t.Run("the connection's own fields stay behind", func(t *testing.T) {
		m := forwarded(t, port, o, get("Connection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n"))
		for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Connection", "Te"} {
			if m.Header.Get(name) != "" {
				t.Errorf("%s was forwarded", name)
			}
		}
		if strings.Contains(strings.ToLower(m.Header.Get("Connection")), "x-hop") {
			t.Errorf("the client's Connection was forwarded: %q", m.Header.Get("Connection"))
		}
	})

	t.Run("Connection cannot name what matters", func(t *testing.T) {
		m := forwarded(t, port, o, get("Connection: X-Forwarded-For, Cookie, Authorization, Host, Content-Length\r\nCookie: a=b\r\nAuthorization: Basic eDp5\r\n"))
		if m.Header.Get("Cookie") != "a=b" || m.Header.Get("Authorization") != "Basic eDp5" || m.Host != "www.example" || m.Header.Get("X-Forwarded-For") == "" {
			t.Errorf("forwarded with %v, host %q", m.Header, m.Host)
		}
	})

	t.Run("h2c is not offered", func(t *testing.T) {
		m := forwarded(t, port, o, get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"))
		if m.Header.Get("Upgrade") != "" || m.Header.Get("HTTP2-Settings") != "" {
			t.Errorf("forwarded with %v", m.Header)
		}
		m = forwarded(t, port, o, get("Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: h2c\r\n"))
		if strings.Contains(strings.Join(m.Header.Values("Upgrade"), ","), "h2c") {
			t.Errorf("forwarded with %v", m.Header)
		}
	})

	t.Run("trailers cannot change the message", func(t *testing.T) {
		m := forwarded(t, port, o, post("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
			"5\r\nhello\r\n0\r\nX-Sum: 17\r\nContent-Length: 50\r\nHost: evil.example\r\nAuthorization: Basic eDp5\r\nTransfer-Encoding: chunked\r\n\r\n"))
		if m.Body != "hello" || !m.Complete {
			t.Errorf("body %q", m.Body)
		}
		for _, line := range []string{"content-length: 50", "evil.example", "basic edp5"} {
			if strings.Contains(strings.ToLower(m.Raw), line) {
				t.Errorf("%q came through in %q", line, m.Raw)
			}
		}
		if m.Trailer.Get("X-Sum") != "17" {
			t.Errorf("the trailer was lost: %v", m.Trailer)
		}
	})

	t.Run("order and spelling are kept", func(t *testing.T) {
		m := forwarded(t, port, o, get("zeta: 1\r\nAlPhA: 2\r\nzeta: 3\r\n"))
		a, b, c := strings.Index(m.Raw, "zeta: 1"), strings.Index(m.Raw, "AlPhA: 2"), strings.Index(m.Raw, "zeta: 3")
		if a < 0 || b < a || c < b {
			t.Errorf("forwarded as %q", m.Raw)
		}
	})
}
