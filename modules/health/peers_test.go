package health

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
)

// probeOf makes a probe; options are "--name" and their arguments.
func probeOf(t testing.TB, name string, args ...string) Probe {
	t.Helper()
	p, err := moduleOf(t, name).New(node(name, args...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func moduleOf(t testing.TB, name string) Module {
	t.Helper()
	for _, m := range Modules() {
		if m.Spec.Name == name {
			return m
		}
	}
	t.Fatalf("no module %s", name)
	return Module{}
}

// talkers are all probes that speak to the server, as they are mostly used.
func talkers(t testing.TB) map[string]Probe {
	return map[string]Probe{
		"http":        probeOf(t, "http"),
		"http body":   withExpect(t, "body", "ready"),
		"http header": withExpect(t, "header", "X-Ready", "yes"),
		"http tls":    probeOf(t, "http", "--tls"),
		"tcp script":  probeOf(t, "tcp", "--expect", "~rea+dy$"),
		"tls":         probeOf(t, "tls"),
		"ssl_hello":   probeOf(t, "ssl_hello"),
		"smtp":        probeOf(t, "smtp", "HELO", "localhost"),
		"redis":       probeOf(t, "redis", "--password", "secret"),
		"pgsql":       probeOf(t, "pgsql", "--user", "loadstar"),
		"mysql":       probeOf(t, "mysql", "--user", "loadstar"),
		"ldap":        probeOf(t, "ldap"),
		"grpc":        probeOf(t, "grpc"),
		"grpc tls":    probeOf(t, "grpc", "--tls"),
		"agent":       probeOf(t, "agent"),
	}
}

// withExpect makes an http probe whose `expect` has a variant.
func withExpect(t testing.TB, variant string, args ...string) Probe {
	t.Helper()
	o := config.Node{Word: "expect", Variant: variant}
	for _, a := range args {
		o.Args = append(o.Args, config.Value{Text: a})
	}
	p, err := newHTTP(&config.Node{Variant: "http", Args: []config.Value{{Text: "/"}}, Options: []config.Node{o}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// beginnings are how an answer to each probe may begin well before it goes wrong.
var beginnings = map[string]string{
	"http body":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
	"http header": "HTTP/1.1 200 OK\r\nX: ",
	"tls":         "\x16\x03\x03\x3f\xff\x02",
	"ssl_hello":   "\x16\x03",
	"smtp":        "220-hello\r\n",
	"redis":       "+OK\r\n",
	"pgsql":       "R\x00\x00\x00\xff\xff",
	"mysql":       "\xff\xff\xff\x00\x0a",
	"ldap":        "\x30\x84\x00\x00\xff\xff",
	"grpc":        "\x00\x40\x00\x00\x00\x00\x00\x00\x01",
}

// Peers that hang, at whatever point, or speak byte by byte, are left when the
// time is over; the result says so.
func TestPeersThatHang(t *testing.T) {
	for name, p := range talkers(t) {
		for _, begin := range []string{"", beginnings[name]} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				target := listen(t, func(c net.Conn) {
					_, _ = io.WriteString(c, begin)
					_, _ = io.Copy(io.Discard, c)
				})
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				_, err := p.Probe(ctx, target)
				if err == nil || !strings.HasSuffix(err.Error(), " timeout") {
					t.Errorf("after %q: %v", begin, err)
				}
			})
		}
	}
}

func TestPeersThatDrip(t *testing.T) {
	for name, p := range talkers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := listen(t, func(c net.Conn) {
				for _, b := range []byte(beginnings[name] + strings.Repeat("x", 1<<20)) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
			defer cancel()
			if _, err := p.Probe(ctx, target); err == nil {
				t.Error("passed")
			}
		})
	}
}

// Peers that close, or that send without end what nobody asked for, are found
// out long before the time is over, and in little memory.
func TestPeersThatFloodOrClose(t *testing.T) {
	random := make([]byte, 1<<20)
	rnd := rand.NewChaCha8([32]byte{1})
	_, _ = rnd.Read(random)
	noise := map[string][]byte{
		"nothing": nil,
		"letters": bytes.Repeat([]byte("x"), 8<<20),
		"lines":   bytes.Repeat([]byte("x: y\r\n"), 1<<20),
		"zeros":   make([]byte, 8<<20),
		"random":  bytes.Repeat(random, 8),
	}
	for name, p := range talkers(t) {
		for kind, b := range noise {
			for _, begin := range []string{"", beginnings[name]} {
				t.Run(name+" "+kind, func(t *testing.T) {
					target := listen(t, func(c net.Conn) {
						_, _ = io.WriteString(c, begin)
						_, _ = c.Write(b)
						_ = c.(*net.TCPConn).CloseWrite()
						_, _ = io.Copy(io.Discard, c)
					})
					ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
					defer cancel()
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					r, err := p.Probe(ctx, target)
					runtime.ReadMemStats(&after)
					if err == nil {
						t.Fatalf("passed: %v", r)
					}
					if strings.Contains(err.Error(), "timeout") || len(err.Error()) > 300 {
						t.Errorf("%s", err)
					}
					if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
						t.Errorf("%d bytes were allocated", n)
					}
				})
			}
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", `a\r\nb`: "a\r\nb", `\x00\xfF\0\t\\`: "\x00\xff\x00\t\\", "": "",
		`\`: "!", `\q`: "!", `\x1`: "!", `\xzz`: "!",
	} {
		got, err := unescape(config.Value{Text: in})
		if err != nil {
			got = []byte("!")
		}
		if string(got) != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestConstructorsRefuse(t *testing.T) {
	for _, c := range [][]string{
		{"tcp", "--expect", "~("}, {"tcp", "--send", `\q`}, {"tcp", "--expect", ""}, {"tcp", "--expect", "~"},
		{"tcp", "--expect", "~" + strings.Repeat("x", 2000)},
		{"smtp", "HELO", "a b"}, {"smtp", "EHLO", ""}, {"redis", "--user", "u"}, {"pgsql", "--user", "a\x00b"},
		{"mysql", "--user", "a\x00b"}, {"grpc", "--host", "a b"}, {"grpc", "--service", strings.Repeat("x", 1<<20)},
		{"exec", "/nonexistent/probe"}, {"exec", "/etc"}, {"exec", "/etc/passwd"}, {"agent", "--send", `\q`},
	} {
		if _, err := moduleOf(t, c[0]).New(node(c[0], c[1:]...)); err == nil {
			t.Errorf("%q was taken", c)
		}
	}
}

// What servers say must never make a probe panic or wait.
func FuzzProbes(f *testing.F) {
	for _, b := range beginnings {
		f.Add([]byte(b))
	}
	f.Add([]byte("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"))
	f.Add([]byte("E\x00\x00\x00\x10C28000\x00Mno\x00\x00"))
	probes := talkers(f)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	defer l.Close()
	answers := make(chan []byte)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write(<-answers)
			_ = c.(*net.TCPConn).CloseWrite()
			go func() { _, _ = io.Copy(io.Discard, c); _ = c.Close() }()
		}
	}()
	target := &Target{Network: "tcp", Address: l.Addr().String(), Connect: 5 * time.Second}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, p := range probes {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			done := make(chan struct{})
			go func() { answers <- b; close(done) }()
			r, err := p.Probe(ctx, target)
			<-done
			if ctx.Err() != nil {
				t.Errorf("%s waited for %q", name, b)
			}
			if err != nil && err.Error() != r.String() {
				t.Errorf("%s: error %q, result %q", name, err, r)
			}
			cancel()
		}
	})
}
