package health

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
)

// listen serves every connection with the script and gives the address.
func listen(t *testing.T, script func(net.Conn)) *Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				script(c)
			}()
		}
	}()
	return &Target{Network: "tcp", Address: l.Addr().String(), Name: "p/s", Connect: 5 * time.Second}
}

func node(variant string, args ...string) *config.Node {
	n := &config.Node{Word: "health", Variant: variant}
	for i := 0; i < len(args); i++ {
		if name, ok := strings.CutPrefix(args[i], "--"); ok {
			name, variant, _ := strings.Cut(name, "/")
			o := config.Node{Word: name, Variant: variant}
			for i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") {
				i++
				o.Args = append(o.Args, config.Value{Text: args[i]})
			}
			n.Options = append(n.Options, o)
			continue
		}
		n.Args = append(n.Args, config.Value{Text: args[i]})
	}
	return n
}

func httpProbeOf(t *testing.T, args ...string) Probe {
	t.Helper()
	p, err := newHTTP(node("http", args...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHTTPRequest(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "OPTIONS / HTTP/1.0\r\n\r\n"},
		{[]string{"GET", "/health?x=1"}, "GET /health?x=1 HTTP/1.0\r\n\r\n"},
		{[]string{"/health"}, "GET /health HTTP/1.0\r\n\r\n"},
		{[]string{"HEAD"}, "HEAD / HTTP/1.0\r\n\r\n"},
		{[]string{"OPTIONS", "*"}, "OPTIONS * HTTP/1.0\r\n\r\n"},
		{[]string{"--host", "a.example:8080", "--header", "X-A", "b c"},
			"OPTIONS / HTTP/1.1\r\nHost: a.example:8080\r\nConnection: close\r\nX-A: b c\r\n\r\n"},
	} {
		if got := string(httpProbeOf(t, c.args...).(*httpProbe).request); got != c.want {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
	for _, bad := range [][]string{
		{"GE T"}, {"GET", "x"}, {"GET", "/a b"}, {"GET", "/\r\nX: y"}, {"--host", "a\r\nb"},
		{"--header", "X Y", "z"}, {"--header", "X", "a\nb"}, {"--expect", "20"}, {"--expect", "300-200"}, {"--expect", "abc"},
	} {
		if _, err := newHTTP(node("http", bad...)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestHTTPProbe(t *testing.T) {
	flood := strings.Repeat("x", 1<<20)
	for _, c := range []struct {
		name, answer string
		expect       []string
		want         string // "" for a pass
	}{
		{"ok", "HTTP/1.1 200 OK\r\n\r\n", nil, ""},
		{"redirect", "HTTP/1.0 302 Found\r\n\r\n", nil, ""},
		{"no reason", "HTTP/1.1 204\r\n\r\n", nil, ""},
		{"bare line feed", "HTTP/1.1 200 OK\n\n", nil, ""},
		{"flood after the line", "HTTP/1.1 200 OK\r\n" + flood, nil, ""},
		{"error", "HTTP/1.1 500 Oh \"no\"\x1b[31m\r\n\r\n", nil, `Layer7 wrong status, code: 500, info: "Oh .no..[31m"`},
		{"not expected", "HTTP/1.1 200 OK\r\n\r\n", []string{"401", "5xx"}, `Layer7 wrong status, code: 200, info: "OK"`},
		{"expected class", "HTTP/1.1 503 No\r\n\r\n", []string{"401", "5xx"}, ""},
		{"garbage", "SSH-2.0-OpenSSH\r\n", nil, `Layer7 invalid response, info: "SSH-2.0-OpenSSH"`},
		{"long status", "HTTP/1.1 2000 OK\r\n", nil, `Layer7 invalid response, info: "HTTP/1.1 2000 OK"`},
		{"HTTP/2", "HTTP/2 200\r\n", nil, `Layer7 invalid response, info: "HTTP/2 200"`},
		{"endless line", flood, nil, `Layer7 invalid response, info: "` + flood[:80] + `"`},
		{"nothing", "", nil, `Layer7 invalid response, info: "unexpected EOF"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := listen(t, func(conn net.Conn) {
				_, _ = bufio.NewReader(conn).ReadString('\n')
				_, _ = io.WriteString(conn, c.answer)
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
			})
			args := []string{"--expect", "200-399"}
			if c.expect != nil {
				args = append([]string{"--expect"}, c.expect...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := httpProbeOf(t, args...).Probe(ctx, target)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Peers that hang, at whatever point, are left when the time is over.
func TestProbesEnd(t *testing.T) {
	hang := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	drip := func(c net.Conn) {
		for {
			if _, err := c.Write([]byte("H")); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	tlsProbe, _ := tlsModule.New(node("tls"))
	for _, c := range []struct {
		name   string
		probe  Probe
		script func(net.Conn)
		want   string
	}{
		{"http hangs", httpProbeOf(t), hang, "Layer7 timeout"},
		{"http drips", httpProbeOf(t), drip, "Layer7 timeout"},
		{"tls hangs", tlsProbe, hang, "Layer6 timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := listen(t, c.script)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := c.probe.Probe(ctx, target); err == nil || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestCancelCutsAProbe(t *testing.T) {
	there := make(chan struct{})
	target := listen(t, func(c net.Conn) { close(there); _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan error)
	probe := httpProbeOf(t)
	go func() { _, err := probe.Probe(ctx, target); end <- err }()
	<-there
	cancel()
	if err := <-end; err == nil {
		t.Error("passed")
	}
}

func TestTCPProbe(t *testing.T) {
	p, _ := tcpModule.New(nil)
	target := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	if r, err := p.Probe(t.Context(), target); err != nil || r.Reason != "Layer4 check passed" {
		t.Errorf("%v %v", r, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := &Target{Network: "tcp", Address: l.Addr().String(), Connect: time.Second}
	_ = l.Close()
	if _, err := p.Probe(t.Context(), gone); err == nil || err.Error() != `Layer4 connection problem, info: "connection refused"` {
		t.Errorf("%v", err)
	}
}

func TestTLSProbe(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	names := make(chan string, 1)
	cfg := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
	target := listen(t, func(c net.Conn) {
		s := tls.Server(c, cfg)
		if s.Handshake() == nil {
			names <- s.ConnectionState().ServerName
		}
		_, _ = io.Copy(io.Discard, c)
	})
	p, _ := tlsModule.New(node("tls", "--host", "www.example.com"))
	if r, err := p.Probe(t.Context(), target); err != nil || r.Info != "TLS 1.3, certificate expired 0001-01-01" {
		t.Errorf("%v %v", r, err)
	}
	if n := <-names; n != "www.example.com" {
		t.Errorf("asked for %q", n)
	}
	plain := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	if _, err := p.Probe(t.Context(), plain); err == nil || !strings.HasPrefix(err.Error(), "Layer6 invalid response") {
		t.Errorf("%v", err)
	}
}

func FuzzParseStatus(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK", "HTTP/1.0 204", "HTTP/1.1 ", "", "HTTP/2 200", "HTTP/1.1 +20 x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		code, reason, ok := parseStatus(line)
		if ok && (code < 100 || code > 999 || !strings.HasPrefix(line, "HTTP/1.") || !strings.HasSuffix(line, reason)) {
			t.Errorf("%q: %d %q", line, code, reason)
		}
		if !ok && code != 0 {
			t.Errorf("%q: %d without ok", line, code)
		}
		if p := printable(reason); len(p) > maxInfo || strings.ContainsAny(p, "\"\r\n\x00") {
			t.Errorf("%q is not fit for a log", p)
		}
	})
}
