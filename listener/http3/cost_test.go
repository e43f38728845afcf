package http3

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// Pages ask for much at once, with long cookies: that is no attack.
func TestLongHeadsAtOnce(t *testing.T) {
	release, came := make(chan bool), make(chan bool, 100)
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		came <- true
		<-release
		_ = x.Respond(200, "", nil)
	}), testLimits)
	c := h.dial(t)
	var open []*quic.Stream
	for range 25 {
		open = append(open, c.open(headers(get("/", "cookie", strings.Repeat("c", 5_000))...), true))
	}
	for i := range open {
		select {
		case <-came:
		case <-time.After(guardTime):
			t.Fatalf("%d came", i)
		}
	}
	close(release)
	for _, q := range open {
		if g := collect(t, q); g.err != nil || len(g.status) != 1 || g.status[0] != "200" {
			t.Errorf("%+v", g)
		}
	}
}

// BenchmarkExchange is a small exchange with quic-go's parts of both ends.
func BenchmarkExchange(b *testing.B) {
	h := serve(b, flowtest.Func(func(x *flow.Exchange) { _ = x.Respond(200, "text/plain", []byte("hello, world")) }), testLimits)
	c := h.dial(b)
	head := headers(get("/path", "user-agent", "asker", "accept", "*/*")...)
	b.ReportAllocs()
	for b.Loop() {
		if g := c.ask(head); g.body != "hello, world" {
			b.Fatal(g)
		}
	}
}

// FuzzStream: no bytes on a request's stream make the connection panic or hang.
func FuzzStream(f *testing.F) {
	f.Add([]byte(headers(get("/")...)))
	f.Add([]byte(headers(post("/", "content-length", "3")...) + data("abc") + headers("x", "y")))
	f.Add([]byte(frame(0x21, "x") + headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/") + data("hello")))
	limits := testLimits
	limits.Header, limits.Stall = time.Second, time.Second
	h := serve(f, flowtest.Func(func(x *flow.Exchange) {
		if _, err := io.Copy(io.Discard, x.Req.Body); err == nil {
			_ = x.Respond(200, "", []byte("ok"))
		}
	}), limits)
	f.Fuzz(func(t *testing.T, p []byte) {
		c := h.dial(t)
		_ = collect(discard{t}, c.open(string(p), true))
		_ = c.CloseWithError(0x100, "")
		select {
		case p := <-h.panics:
			t.Fatal(p)
		default:
		}
	})
}

// discard is a test to which what the other side sends is no fault.
type discard struct{ testing.TB }

func (discard) Errorf(string, ...any) {}
