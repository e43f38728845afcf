package health

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// versioned serves with Go's own server, which speaks the versions only that are
// named: h1, h2 (by TLS), h2c.
func versioned(t *testing.T, names ...string) *Target {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen := strings.Join([]string{r.Method, r.Proto, r.Host, r.URL.Path, r.Header.Get("X-A"), string(b)}, " ")
		w.Header().Set("X-Seen", seen[:min(len(seen), 100)])
		switch r.URL.Path {
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
		case "/sick":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/long":
			_, _ = io.WriteString(w, "begin"+strings.Repeat("x", 2*maxAnswer))
		case "/reset":
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "all is well")
	}))
	s.Config.Protocols = &http.Protocols{}
	target := &Target{Network: "tcp", Address: s.Listener.Addr().String(), Name: "p/s", Connect: 5 * time.Second}
	for _, name := range names {
		switch name {
		case "h1":
			s.Config.Protocols.SetHTTP1(true)
		case "h2":
			s.Config.Protocols.SetHTTP2(true)
			s.EnableHTTP2 = true
		case "h2c":
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
			t.Cleanup(s.Close)
			return target
		}
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, time.Now().Add(time.Hour))}}
	s.StartTLS()
	t.Cleanup(s.Close)
	target.TLS = tlsConfig("")
	return target
}

// Servers are asked in the version that exchanges reach them in.
func TestHTTPProbeVersions(t *testing.T) {
	clear, only, both, old := versioned(t, "h2c"), versioned(t, "h2"), versioned(t, "h1", "h2"), versioned(t, "h1")
	with := func(target *Target, p upstream.Protocol) *Target {
		c := *target
		c.Protocol = p
		return &c
	}
	const good = `Layer7 check passed, code: 200, info: "HTTP/2"`
	for _, c := range []struct {
		name   string
		target *Target
		args   []string
		want   string
	}{
		{"in clear", with(clear, upstream.H2), []string{"GET", "/"}, good},
		{"in clear, as HTTP/1", clear, []string{"GET", "/"}, "Layer7 invalid response"},
		{"by TLS", with(only, upstream.H2), []string{"GET", "/"}, good},
		{"either", with(both, upstream.Auto), []string{"GET", "/"}, good},
		{"either, of HTTP/1", with(old, upstream.Auto), []string{"GET", "/"}, `Layer7 check passed, code: 200, info: "OK"`},
		{"HTTP/3 is probed by TCP", with(both, upstream.H3), []string{"GET", "/"}, `Layer7 check passed, code: 200, info: "OK"`},
		{"not agreed on", with(old, upstream.H2), []string{"GET", "/"}, "Layer6 invalid response"},
		{"no TLS there", &Target{Network: "tcp", Address: clear.Address, Connect: 5 * time.Second, TLS: only.TLS, Protocol: upstream.H2}, nil, "Layer6 invalid response"},
		{"what is sent", with(clear, upstream.H2), []string{"POST", "/x", "--host", "a.example", "--header", "X-A", "b", "--body", "c d",
			"--expect/header", "X-Seen", "POST HTTP/2.0 a.example /x b c d"}, good},
		{"fields of HTTP/1 stay behind", with(clear, upstream.H2), []string{"GET", "/", "--header", "Connection", "close", "--header", "Host", "b.example",
			"--expect/header", "X-Seen", "GET HTTP/2.0 b.example /  "}, good},
		{"a long body is sent in parts", with(clear, upstream.H2), []string{"POST", "/", "--body", strings.Repeat("y", maxBody)}, good},
		{"a body above the window", with(clear, upstream.H2), []string{"POST", "/", "--body", strings.Repeat("y", maxBody+1)}, "Layer7 invalid response"},
		{"a long head", with(clear, upstream.H2), []string{"GET", "/", "--header", "X-A", strings.Repeat("y", 3*frameSize)}, good},
		{"body", with(only, upstream.H2), []string{"GET", "/", "--expect/body", "is well"}, good},
		{"body, not there", with(only, upstream.H2), []string{"GET", "/", "--expect/body", "is ill"}, "Layer7 invalid response"},
		{"the start of a long body", with(clear, upstream.H2), []string{"GET", "/long", "--expect/body", "begin"}, good},
		{"behind interim answers", with(clear, upstream.H2), []string{"GET", "/early"}, good},
		{"HEAD", with(clear, upstream.H2), []string{"HEAD", "/"}, good},
		{"a status", with(clear, upstream.H2), []string{"GET", "/sick"}, `Layer7 wrong status, code: 503, info: "HTTP/2"`},
		{"a reset", with(clear, upstream.H2), []string{"GET", "/reset"}, "Layer7 invalid response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			r, err := probeOf(t, "http", c.args...).Probe(ctx, c.target)
			got := r.String()
			if !strings.Contains(c.want, "code") {
				got = r.Reason // what was found instead is the other side's word
			}
			if got != c.want || (err == nil) != strings.Contains(c.want, "passed") {
				t.Errorf("%s (%v), want %s", r, err, c.want)
			}
		})
	}
}

// A server that feeds frames without end is not listened to without end.
func TestHTTPProbeEndless(t *testing.T) {
	target := listen(t, func(c net.Conn) {
		for {
			if _, err := c.Write([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678")); err != nil { // PING
				return
			}
		}
	})
	target.Protocol = upstream.H2
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if r, err := probeOf(t, "http", "/").Probe(ctx, target); err == nil || ctx.Err() != nil {
		t.Errorf("%s %v", r, ctx.Err())
	}
}
