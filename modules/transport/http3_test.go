package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// A foreign server: bodies both ways, trailers both ways, interim answers, heads
// without bodies, what comes before the request is whole.
func TestQUICForeign(t *testing.T) {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &http3.Server{TLSConfig: tlsOf("h3"), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			w.Header().Set("Trailer", "X-Sum")
			w.WriteHeader(200)
			n, _ := io.Copy(w, r.Body)
			w.Header().Set("X-Sum", fmt.Sprint(n, " ", r.Trailer.Get("X-End")))
		case "/hints":
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("Cookie"))
		case "/early":
			w.WriteHeader(403)
			_, _ = io.WriteString(w, "no")
		case "/nothing":
			w.WriteHeader(204)
		}
	})}
	go func() { _ = s.Serve(pc) }()
	t.Cleanup(func() {
		_ = s.Close()
		_ = pc.Close()
	})
	g := newGate3(t, pc.LocalAddr().String(), testTimeouts)
	for _, two := range []bool{false, true} {
		c, url := g.client(t, two)
		for _, size := range []int{5000, 1 << 20} {
			sent := bytes.Repeat([]byte("x"), size)
			r, _ := http.NewRequest("POST", url+"/echo", io.MultiReader(bytes.NewReader(sent)))
			r.Trailer = http.Header{"X-End": {"end"}}
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, sent) || resp.Trailer.Get("X-Sum") != fmt.Sprint(size, " end") {
				t.Errorf("%d bytes: %d came back, %v, trailer %v", size, len(got), err, resp.Trailer)
			}
		}
		hints := 0
		trace := &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil }}
		r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", url+"/hints", nil)
		r.Host = "www.example"
		r.Header.Set("Cookie", "a=b")
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "www.example a=b" || hints != 1 {
			t.Errorf("%q, %d hints", b, hints)
		}
		for _, x := range [][2]string{{"GET /nothing", "204 "}, {"HEAD /hints", "200 "}, {"HEAD /nothing", "204 "}} {
			method, path, _ := strings.Cut(x[0], " ")
			if got := ask(c, method, url+path, ""); got != x[1] {
				t.Errorf("%s: %s", x[0], got)
			}
		}
		if got := ask(c, "POST", url+"/early", strings.Repeat("x", 100)); got != "403 no" {
			t.Error(got)
		}
	}
	if n := g.idle.Shared(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A server that is not there, is not heard of, speaks something else, or is another
// one than was to be expected.
func TestQUICConnect(t *testing.T) {
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	other, err := quic.ListenAddr("127.0.0.1:0", tlsOf("doq"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s := newServer3(t, nil, func(p *peer3, _ int) { p.serves("ok") })
	verified := &tls.Config{ServerName: "a.example"}
	for name, c := range map[string]struct {
		addr    string
		connect time.Duration
		conf    *tls.Config
		status  string
		cause   string
		is      error
	}{
		"refused":        {gone.LocalAddr().String(), guardTime, nil, "503 ", "connect failed", syscall.ECONNREFUSED},
		"silent":         {silent.LocalAddr().String(), 50 * time.Millisecond, nil, "503 ", "connect failed", nil},
		"other protocol": {other.Addr().String(), guardTime, nil, "503 ", "server does not speak HTTP/3", nil},
		"unknown CA":     {s.addr, guardTime, verified, "503 ", "TLS handshake failed", nil},
	} {
		t.Run(name, func(t *testing.T) {
			timeouts := testTimeouts
			timeouts.Connect = c.connect
			g := newGate3(t, c.addr, timeouts)
			if c.conf != nil {
				g.server.TLS.Config = c.conf
			}
			cl, url := g.client(t, false)
			got, f := ask(cl, "GET", url, ""), g.fault.Load()
			if got != c.status || f == nil || f.Cause != c.cause || f.Begun || f.Phase != flow.PhaseConnect || f.Timeout != (name == "silent") {
				t.Errorf("%s, %v, %+v", got, f, f)
			}
			if c.is != nil && !errors.Is(f, c.is) {
				t.Errorf("%v is not %v", f, c.is)
			}
		})
	}
}

// A server that dies without a word: the next request finds that nobody is there, at
// once, and the one after that finds its successor.
func TestQUICKilled(t *testing.T) {
	s := newServer3(t, nil, func(p *peer3, _ int) { p.serves("old") })
	g := newGate3(t, s.addr, testTimeouts)
	c, url := g.client(t, false)
	if got := ask(c, "GET", url, ""); got != "200 old" {
		t.Fatal(got)
	}
	_ = s.pc.Close()
	if got := ask(c, "GET", url, ""); got != "503 " || !errors.Is(g.fault.Load(), syscall.ECONNREFUSED) {
		t.Errorf("%s, %v", got, g.fault.Load())
	}
	next, err := quic.ListenAddr(s.addr, tlsOf("h3"), nil)
	if err != nil {
		t.Skip(err) // somebody else has the port
	}
	defer next.Close()
	go func() {
		if q, err := next.Accept(context.Background()); err == nil {
			control, _ := q.OpenUniStream()
			_, _ = control.Write([]byte{wire.StreamControl, wire.FrameSettings, 0})
			(&peer3{Conn: q, control: control, t: t}).serves("new")
		}
	}()
	if got := ask(c, "GET", url, ""); got != "200 new" {
		t.Errorf("%s, %v", got, g.fault.Load())
	}
}

// What breaks, or lasts too long, before the answer and inside it.
func TestQUICBreaks(t *testing.T) {
	release := make(chan bool)
	for name, c := range map[string]struct {
		does  func(p *peer3, c *call3)
		want  string
		flags string
		stall time.Duration
	}{
		"no answer": {func(*peer3, *call3) { <-release }, "504 ", "sH begun", 50 * time.Millisecond},
		"reset":     {func(_ *peer3, c *call3) { c.resets(wire.CodeInternal) }, "502 ", "SH begun", 0},
		"end":       {func(p *peer3, _ *call3) { _ = p.CloseWithError(0x102, "") }, "502 ", "SH begun", 0},
		"stalls inside": {func(_ *peer3, c *call3) {
			_, _ = c.Write(append(headers(":status", "200"), data("12345")...))
			<-release
		}, `200 "12345" broken`, "sD begun", 50 * time.Millisecond},
		"reset inside":      {inside(func(_ *peer3, c *call3) { c.resets(wire.CodeInternal) }), `200 "12345" broken`, "SD begun", 0},
		"connection inside": {inside(func(p *peer3, _ *call3) { _ = p.CloseWithError(0x102, "") }), `200 "12345" broken`, "SD begun", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inside3 = make(chan bool, 1)
			s := newServer3(t, nil, func(p *peer3, n int) {
				if n == 0 {
					r := p.request()
					if r == nil {
						return
					}
					c.does(p, r)
				}
				p.serves("after")
			})
			timeouts := testTimeouts
			if c.stall > 0 {
				timeouts = timeoutsOf(c.stall)
			}
			g := newGate3(t, s.addr, timeouts)
			cl, url := g.client(t, false)
			if got := watched(cl, url); got != c.want || flags(g.fault.Load()) != c.flags {
				t.Errorf("%s, %s: %v; want %s, %s", got, flags(g.fault.Load()), g.fault.Load(), c.want, c.flags)
			}
			if name == "no answer" || name == "stalls inside" {
				release <- true
			}
			g.server.Timeouts = testTimeouts
			if got := ask(cl, "GET", url, ""); got != "200 after" {
				t.Errorf("then %s", got)
			}
		})
	}
}

// inside3 is told when the client has the beginning of a body.
var inside3 chan bool

// inside breaks what the client has begun to get.
func inside(does func(p *peer3, c *call3)) func(p *peer3, c *call3) {
	return func(p *peer3, c *call3) {
		_, _ = c.Write(append(headers(":status", "200"), data("12345")...))
		<-inside3
		does(p, c)
	}
}

// watched is ask, telling inside3 of the first bytes.
func watched(c *http.Client, url string) string {
	resp, err := c.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b := make([]byte, 5)
	n, err := io.ReadFull(resp.Body, b)
	inside3 <- true
	if n == 0 {
		return fmt.Sprintf("%d ", resp.StatusCode)
	}
	if err == nil {
		_, err = io.ReadAll(resp.Body)
	}
	if err != nil {
		return fmt.Sprintf("%d %q broken", resp.StatusCode, b[:n])
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, b[:n])
}

// A tunnel passes a server that takes extended CONNECT, and CONNECT.
func TestQUICTunnel(t *testing.T) {
	s := newServer3(t, nil, func(p *peer3, _ int) {
		for c := p.head(); c != nil; c = p.head() {
			_, _ = c.Write(headers(":status", "200"))
			_, _ = c.Write(data(c.fields[":method"] + " " + c.fields[":protocol"] + " " + c.fields[":authority"] + "\n"))
			for d, _ := c.frame(t); d != nil; d, _ = c.frame(t) {
				_, _ = c.Write(data(string(d)))
			}
			_ = c.Stream.Close()
		}
	})
	p := &proxy{idle: NewIdle(0), record: make(chan flow.Record, 100)}
	g := newGate3(t, s.addr, testTimeouts)
	p.server, p.via = g.server, g.HTTP
	p.listen(t)
	for head, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\n": "CONNECT ws a\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n":                               "CONNECT  a:1\n",
	} {
		c := p.dial(t).send(head)
		if _, err := http.ReadResponse(c.br, &http.Request{Method: "CONNECT"}); err != nil {
			t.Fatal(err)
		}
		c.send("ping")
		_ = c.CloseWrite()
		if got, err := io.ReadAll(bufio.NewReader(c.br)); err != nil || string(got) != want+"ping" {
			t.Errorf("%q %v, want %qping", got, err, want)
		}
	}
}
