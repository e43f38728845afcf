package transport

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
	lh2 "github.com/loadstar-lb/loadstar/listener/http2"
)

var helloBody, getBytes = []byte("hello"), []byte(get)

// cheap is an HTTP/2 server that answers without allocating.
func cheap(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var source flow.Source
	source.Store(&flow.Binding{Generation: flow.NewGeneration(1), Limits: flow.DefaultLimits, Server: flowtest.Func(func(x *flow.Exchange) {
		x.Resp.Header.Add("Content-Type", "text/plain")
		_ = x.Respond(200, "", helloBody)
	})})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				lh2.Server{}.ServeConn(&flow.Conn{Conn: nc, Accepted: time.Now(), Source: &source})
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l
}

// askCheap makes one exchange from a client of HTTP/1 to a server of HTTP/2.
func askCheap(t testing.TB, c *client, buf []byte) {
	if _, err := c.Write(getBytes); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 5 || string(buf[n-5:n]) != "hello"; {
		m, err := c.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
}

// An exchange over HTTP/2 costs no allocation, on either side of the connection.
func TestSharedAllocations(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector allocates, and has pools forget")
	}
	g := newGate(t, cheap(t), testTimeouts)
	c, buf := (&proxy{addr: g.h1}).dial(t), make([]byte, 4096)
	for range 100 {
		askCheap(t, c, buf)
	}
	if n := testing.AllocsPerRun(500, func() { askCheap(t, c, buf) }); n > 0 {
		t.Errorf("%v allocations an exchange", n)
	}
}

func BenchmarkShared(b *testing.B) {
	g := newGate(b, cheap(b), testTimeouts)
	c, buf := (&proxy{addr: g.h1}).dial(b), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		askCheap(b, c, buf)
	}
}
