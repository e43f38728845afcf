package transport

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"

	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// A server that takes few streams at a time gets as few, over connections that are
// used again: one after the other, and many at once.
func TestQUICFewStreams(t *testing.T) {
	var conns atomic.Int32
	s := newServer3(t, &quic.Config{MaxIncomingStreams: 2}, func(p *peer3, _ int) {
		conns.Add(1)
		var wg sync.WaitGroup
		defer wg.Wait()
		for c := p.request(); c != nil; c = p.request() {
			wg.Go(func() { c.answer("ok") })
		}
	})
	g := newGate3(t, s.addr, testTimeouts)
	c, url := g.client(t, true)
	for range 200 {
		if got := ask(c, "GET", url, ""); got != "200 ok" {
			t.Fatalf("%s, %v", got, g.fault.Load())
		}
	}
	if n := conns.Load(); n > 20 { // more than one when the server is late to give room
		t.Errorf("%d connections for 200 exchanges, one after the other", n)
	}
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			if got := ask(c, "GET", url, ""); got != "200 ok" {
				t.Errorf("%s, %v", got, g.fault.Load())
			}
		})
	}
	wg.Wait()
}

// A server that lets nobody in is asked once an exchange, and no connection to it is
// kept.
func TestQUICNoStreams(t *testing.T) {
	var conns atomic.Int32
	conf := &quic.Config{MaxIncomingStreams: -1, Tracer: func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace {
		conns.Add(1) // whether it is ever accepted or not
		return nil
	}}
	s := newServer3(t, conf, func(p *peer3, _ int) { <-p.Context().Done() })
	g := newGate3(t, s.addr, testTimeouts)
	c, url := g.client(t, false)
	for i := range int32(3) {
		if got, f := ask(c, "POST", url, "body"), g.fault.Load(); got != "503 " || f == nil || f.Begun || f.Cause != "server takes no streams" {
			t.Errorf("%s, %v", got, f)
		}
		if n := conns.Load(); n != i+1 {
			t.Errorf("%d connections for %d exchanges", n, i+1)
		}
	}
	until(t, "an empty set", func() bool { return g.idle.Shared() == 0 })
}

// A deadline that comes inside a frame which means nothing does not have its rest
// taken for the next one: here that of the server's word on an expectation.
func TestQUICDeadlineInsideFrame(t *testing.T) {
	frame := append(wire.AppendFrame(nil, 0x21, 20_000), bytes.Repeat([]byte{wire.FrameData}, 20_000)...)
	told := make(chan bool)
	s := newServer3(t, nil, func(p *peer3, _ int) {
		c := p.head()
		_, _ = c.Write(frame[:10_000])
		body, _ := c.frame(t) // which comes when the proxy has lost its patience
		close(told)
		c.says(frame[10_000:], headers(":status", "200"), data("got "+string(body)))
		p.serves("")
	})
	g := newGate3(t, s.addr, testTimeouts)
	c := (&proxy{addr: g.h1}).dial(t)
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	if r := c.answer("POST"); r.StatusCode != 100 {
		t.Fatal(r.Status)
	}
	c.send("body").want(200, "got body")
	<-told
}

// Expectations: the server's word is passed on, a final answer ends the matter, and
// silence is no hindrance.
func TestQUICExpect(t *testing.T) {
	s := newServer3(t, nil, func(p *peer3, _ int) {
		for c := p.head(); c != nil; c = p.head() {
			if c.fields["expect"] != "100-continue" {
				t.Errorf("%v", c.fields)
			}
			switch c.fields[":path"] {
			case "/no":
				c.says(headers(":status", "417"), data("no"))
				c.CancelRead(quic.StreamErrorCode(wire.CodeNone))
				continue
			case "/yes":
				_, _ = c.Write(headers(":status", "100"))
			}
			body, _ := c.frame(t)
			c.answer("got " + string(body))
		}
	})
	g := newGate3(t, s.addr, testTimeouts)
	for path, want := range map[string]string{"/no": "no", "/yes": "got body", "/silent": "got body"} {
		c := (&proxy{addr: g.h1}).dial(t)
		c.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", path))
		if path == "/no" {
			c.want(417, want)
			continue
		}
		if r := c.answer("POST"); r.StatusCode != 100 {
			t.Fatalf("%s: %s", path, r.Status)
		}
		c.send("body").want(200, want)
	}
	if n := g.idle.Shared(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// GOAWAY under load, again and again: every request is answered, and each POST was
// served once.
func TestQUICGoAwayUnderLoad(t *testing.T) {
	var mu sync.Mutex
	served := map[string]int{}
	var conns atomic.Int32
	s := newServer3(t, nil, func(p *peer3, _ int) {
		conns.Add(1)
		var wg sync.WaitGroup
		defer wg.Wait()
		last := false
		for n := 0; ; n++ {
			c := p.head()
			if c == nil {
				return
			}
			if last {
				continue // it is not looked at, and whoever sent it knows
			}
			if n == 30 {
				last = true
				v := wire.AppendVarint(nil, uint64(c.StreamID())+4)
				_, _ = p.control.Write(append(wire.AppendFrame(nil, wire.FrameGoAway, uint64(len(v))), v...))
			}
			wg.Go(func() {
				body, _ := c.frame(t)
				mu.Lock()
				served[string(body)]++
				mu.Unlock()
				c.answer("ok")
			})
		}
	})
	g := newGate3(t, s.addr, testTimeouts)
	g.tries = 3
	c, url := g.client(t, true)
	const clients, each = 10, 60
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for j := range each {
				if got := ask(c, "POST", url, fmt.Sprint(i, "-", j)); got != "200 ok" {
					t.Errorf("%s, %v", got, g.fault.Load())
				}
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	for body, n := range served {
		if n != 1 {
			t.Errorf("%s was served %d times", body, n)
		}
	}
	if len(served) != clients*each || conns.Load() < clients*each/50 {
		t.Errorf("%d served over %d connections", len(served), conns.Load())
	}
}

// A server that opens no window is given up after the stall timeout, be the request
// small or large, and so is one that takes the head alone.
func TestQUICNoWindow(t *testing.T) {
	s := newServer3(t, &quic.Config{InitialStreamReceiveWindow: 1000, MaxStreamReceiveWindow: 1000}, func(p *peer3, _ int) {
		for {
			if _, err := p.AcceptStream(p.Context()); err != nil { // and never reads it
				return
			}
		}
	})
	g := newGate3(t, s.addr, timeoutsOf(200*time.Millisecond))
	c, url := g.client(t, true)
	for _, size := range []int{5000, 1 << 20} {
		if got, f := ask(c, "POST", url, string(make([]byte, size))), g.fault.Load(); got != "504 " || f == nil || f.Cause != "server does not take the request" {
			t.Errorf("%d bytes: %s, %v", size, got, f)
		}
	}
}
