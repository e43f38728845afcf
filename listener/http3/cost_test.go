package http3

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// attackVar has this program attack somebody instead of being a test: "KIND ADDRESS".
const attackVar = "LOADSTAR_HTTP3_ATTACK"

// TestAttacker is no test, but the client of TestMemoryOfAttackers, whose own memory
// must not count. It says when all is sent, and leaves when it is told to.
func TestAttacker(t *testing.T) {
	kind, addr, ok := strings.Cut(os.Getenv(attackVar), " ")
	if !ok {
		t.Skip("run by TestMemoryOfAttackers")
	}
	head := headers(post("/", "y", strings.Repeat("y", 30_000))...)
	bomb := head + data(strings.Repeat("z", 8_000))
	if kind == "unfinished" {
		bomb = head[:len(head)-1]
	}
	h := &host{addr: addr}
	var all sync.WaitGroup
	for range 10 {
		c := h.dial(t)
		for range 100 {
			if kind == "nothing" {
				break
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // there may be no more streams
			q, err := c.OpenStreamSync(ctx)
			cancel()
			if err != nil {
				break
			}
			all.Go(func() {
				_ = q.SetWriteDeadline(time.Now().Add(3 * time.Second)) // or no more room
				_, _ = q.Write([]byte(bomb))
			})
		}
	}
	all.Wait()
	_, _ = os.Stdout.WriteString("sent\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// Ten connections that send heads as large as they can, whole ones with bodies that
// nobody takes or such as never end, cost at most 8 MB (heap and stacks in use) beside
// what ten connections that do nothing cost.
func TestMemoryOfAttackers(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector needs memory of its own")
	}
	idle := int64(0)
	for _, kind := range []string{"nothing", "whole", "unfinished"} {
		t.Run(kind, func(t *testing.T) {
			release := make(chan bool)
			h := serve(t, flowtest.Func(func(x *flow.Exchange) {
				<-release
				_ = x.Respond(200, "", nil)
			}), testLimits)
			defer close(release)
			inUse := func() int64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc + m.StackInuse)
			}
			before := inUse()
			attack := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAttacker$", "-test.v")
			attack.Env = append(os.Environ(), attackVar+"="+kind+" "+h.addr)
			in, err := attack.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := attack.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := attack.Start(); err != nil {
				t.Fatal(err)
			}
			said := bufio.NewScanner(out)
			for said.Scan() && said.Text() != "sent" {
			}
			used := inUse() - before
			h.mu.Lock()
			n := len(h.conns)
			h.mu.Unlock()
			_ = in.Close()
			_, _ = io.Copy(io.Discard, out)
			_ = attack.Wait()
			t.Logf("%d KiB for %d connections", used>>10, n)
			if n != 10 {
				t.Errorf("%d connections", n)
			}
			if kind == "nothing" {
				idle = max(used, 0)
			} else if used-idle > 8<<20 {
				t.Errorf("%d KiB for 10 connections, %d KiB for as many that do nothing", used>>10, idle>>10)
			}
		})
	}
}

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
