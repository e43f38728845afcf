package http3

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// Ten connections that send heads as large as they can and bodies that nobody
// takes cost at most 8 MB (heap in use), those of the clients aside.
func TestMemoryOfAttackers(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector needs memory of its own")
	}
	release := make(chan bool)
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		<-release
		_ = x.Respond(200, "", nil)
	}), testLimits)
	defer close(release)
	var conns []*raw
	for range 10 {
		conns = append(conns, h.dial(t))
	}
	inUse := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	before := inUse()
	bomb := headers(post("/", "y", strings.Repeat("y", 30_000))...) + data(strings.Repeat("z", 8_000))
	for _, c := range conns {
		go func() {
			ctx, cancel := context.WithTimeout(c.Context(), time.Second)
			defer cancel()
			for range 200 {
				q, err := c.OpenStreamSync(ctx)
				if err != nil {
					return
				}
				_ = q.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := q.Write([]byte(bomb)); err != nil {
					return
				}
			}
		}()
	}
	for range 5 {
		time.Sleep(20 * time.Millisecond) // for what is sent to arrive; a lesser attack only makes the test easier
	}
	used := inUse() - before
	t.Logf("%d KiB", used>>10)
	if used > 16<<20 { // half of it is what the clients hold until it is acknowledged
		t.Errorf("%d KiB for 10 connections", used>>10)
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
