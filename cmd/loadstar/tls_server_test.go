package main_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// secureServer is a TLS server of net/http that tells what it saw.
type secureServer struct {
	port   int
	mu     sync.Mutex
	conns  map[string]int // connections by the name they asked for
	probes atomic.Int64
}

func newSecureServer(t *testing.T, cfg *tls.Config) *secureServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no TCP address")
	}
	s := &secureServer{port: addr.Port, conns: map[string]int{}}
	srv := &http.Server{Handler: s, TLSConfig: cfg, ErrorLog: log.New(io.Discard, "", 0)}
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		s.mu.Lock()
		s.conns[h.ServerName]++
		s.mu.Unlock()
		return nil, nil
	}
	t.Cleanup(func() { _ = srv.Close() })
	go func() { _ = srv.ServeTLS(l, "", "") }()
	return s
}

func (s *secureServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.URL.Path == "/probe" {
		s.probes.Add(1)
	}
	who := "-"
	if len(r.TLS.PeerCertificates) > 0 {
		who = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	_, _ = fmt.Fprintf(w, "%s %s %s %d", r.TLS.ServerName, r.TLS.NegotiatedProtocol, who, len(body))
	if r.URL.Path == "/long" {
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
	}
}

func (s *secureServer) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[name]
}

func TestTLSToServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	issue := newIssuer(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	issue.pair(t, file("web.crt"), file("web.key"), "web.test", "other.test")
	issue.pair(t, file("lb.crt"), file("lb.key"), "balancer.test")
	issue.write(t, file("ca.crt"))
	pair, err := tls.LoadX509KeyPair(file("web.crt"), file("web.key"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSecureServer(t, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: issue.pool})
	p := e2e.Ports(t, 6)
	options, _ := secureOptions(t)
	in := e2e.Run(t, options+fmt.Sprintf(`
(to) {
	server s 127.0.0.1:%[7]d
	retry 0
}
http://:%[1]d {
	proxy named
}
pool named {
	import to
	tls ca %[8]s/ca.crt name web.test cert %[8]s/lb.crt %[8]s/lb.key
	health http GET /probe expect 200 interval 500ms timeout 15s
}
http://:%[2]d {
	proxy unnamed
}
pool unnamed {
	import to
	tls ca %[8]s/ca.crt
}
http://:%[3]d {
	proxy unverified
}
pool unverified {
	server s 127.0.0.1:%[7]d tls verify off
}
http://:%[4]d {
	proxy templated
}
pool templated {
	import to
	tls ca %[8]s/ca.crt sni {http.host}
}
http://:%[5]d {
	proxy untrusted
}
pool untrusted {
	import to
	tls name web.test
}
tcp://:%[6]d {
	proxy streams
}
pool streams {
	import to
	tls ca %[8]s/ca.crt sni other.test name web.test
}
`, p[0], p[1], p[2], p[3], p[4], p[5], s.port, dir), p...)
	get := func(port int, host, path, body string) (int, string) {
		c := e2e.Dial(t, port)
		defer c.Close()
		c.Send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", path, host, len(body), body))
		a := c.Answer("POST")
		if !a.Complete {
			t.Errorf("%s: %v", host, a.Err)
		}
		return a.Status, a.Body
	}
	for _, c := range []struct {
		what string
		port int
		host string
		want string // "": refused
	}{
		{"named", p[0], "a", "web.test http/1.1 balancer.test 3"},
		// A certificate for web.test is not one for the host of the address.
		{"the host of the address", p[1], "a", ""},
		{"unverified", p[2], "a", " http/1.1 - 3"},
		{"template", p[3], "web.test", "web.test http/1.1 - 3"},
		{"template, another name", p[3], "other.test", "other.test http/1.1 - 3"},
		{"template, a name not covered", p[3], "third.test", ""},
		{"an authority nobody knows", p[4], "a", ""},
		{"a stream", p[5], "a", "other.test http/1.1 - 3"},
	} {
		status, body := get(c.port, c.host, "/", "abc")
		if c.want == "" && status != 503 || c.want != "" && (status != 200 || body != c.want) {
			t.Errorf("%s: %d %q, want %q", c.what, status, body, c.want)
		}
	}
	// Long bodies both ways, over connections that are used again.
	before := s.count("web.test")
	for range 5 {
		status, body := get(p[0], "a", "/long", strings.Repeat("b", 300<<10))
		if status != 200 || len(body) < 1<<20 || !strings.HasPrefix(body, "web.test http/1.1 balancer.test 307200") {
			t.Fatalf("%d, %d bytes", status, len(body))
		}
	}
	if n := s.count("web.test") - before; n > 40 { // the probes' connections, too
		t.Errorf("%d connections for 5 exchanges", n)
	}
	if !strings.Contains(in.Output(), "verify-off") {
		t.Errorf("no warning of what is not verified:\n%s", in.Output())
	}
	if !rig.Until(e2e.Patience, func() bool { return s.probes.Load() > 0 }) || strings.Contains(in.Output(), "named/s is DOWN") {
		t.Errorf("the probe does not speak TLS:\n%s", in.Output())
	}
}

func TestExampleHTTPS(t *testing.T) {
	state := t.TempDir()
	t.Setenv("STATE_DIRECTORY", state)
	x := boot(t, "https.lb")
	cfg := trusting(t, filepath.Join(state, "internal", "root.crt"), "localhost")
	for range 2 {
		if status, body := askTLS(t, x.ports["8443"], cfg, "localhost"); status != 200 || !strings.HasPrefix(body, "10.0.0.") {
			t.Errorf("%d %q", status, body)
		}
	}
	a := x.get("8080", "localhost", "/a?b")
	if a.Status != 308 || !strings.HasPrefix(a.Header.Get("Location"), "https://localhost:") {
		t.Errorf("%d to %q", a.Status, a.Header.Get("Location"))
	}
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(x.Output(), "~ web/") }) {
		t.Errorf("no log of it:\n%s", x.Output())
	}
}
