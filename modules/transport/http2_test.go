package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Exchanges side by side share a connection, as many as the server takes at once.
func TestSharedConnections(t *testing.T) {
	for _, limit := range []uint32{1, 3, 100} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			var conns atomic.Int32
			release := make(chan bool)
			l := newServer(t, []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: limit}}, func(p *peer, _ int) {
				conns.Add(1)
				var wg sync.WaitGroup
				var mu sync.Mutex
				defer wg.Wait()
				for c := p.request(); c != nil; c = p.request() {
					wg.Go(func() {
						<-release
						mu.Lock()
						defer mu.Unlock()
						p.answer(c.id, c.fields[":path"])
					})
				}
			})
			g := newGate(t, l, testTimeouts)
			c, url := g.client(t, true)
			const exchanges = 12
			var wg sync.WaitGroup
			for i := range exchanges {
				wg.Go(func() {
					path := fmt.Sprintf("/%d", i)
					if got := ask(c, "GET", url+path, ""); got != "200 "+path {
						t.Errorf("%s: %s", path, got)
					}
				})
			}
			want := int32((exchanges + limit - 1) / limit)
			until(t, "all connections", func() bool { return conns.Load() >= want })
			close(release)
			wg.Wait()
			if limit == 100 && conns.Load() != 1 {
				t.Errorf("%d connections for %d exchanges", conns.Load(), exchanges)
			}
		})
	}
}

// What the server has not looked at is sent again, its body too, whatever the
// method; what it has looked at is not.
func TestNotServed(t *testing.T) {
	for name, c := range map[string]struct {
		refuse func(p *peer, c *call)
		method string
		want   string
		dials  int32
	}{
		"GOAWAY before it": {func(p *peer, c *call) { _ = p.WriteGoAway(c.id-2, http2.ErrCodeNo, nil) }, "POST", "200 ok body", 2},
		"REFUSED_STREAM":   {func(p *peer, c *call) { _ = p.WriteRSTStream(c.id, http2.ErrCodeRefusedStream) }, "POST", "200 ok body", 1},
		"CANCEL, POST":     {func(p *peer, c *call) { _ = p.WriteRSTStream(c.id, http2.ErrCodeCancel) }, "POST", "502 ", 1},
		"close, GET":       {func(p *peer, _ *call) { _ = p.Conn.Close() }, "GET", "200 ok ", 2},
		"close, POST":      {func(p *peer, _ *call) { _ = p.Conn.Close() }, "POST", "502 ", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var dials, asked atomic.Int32
			l := newServer(t, nil, func(p *peer, _ int) {
				dials.Add(1)
				for r := p.request(); r != nil; r = p.request() {
					body := p.body(r)
					if r.fields[":path"] == "/first" {
						p.answer(r.id, "first")
						continue
					}
					if asked.Add(1) == 1 {
						c.refuse(p, r)
						continue
					}
					p.answer(r.id, "ok "+body)
				}
			})
			g := newGate(t, l, testTimeouts)
			g.tries = 2
			cl, url := g.client(t, true)
			if got := ask(cl, "GET", url+"/first", ""); got != "200 first" {
				t.Fatal(got)
			}
			body := ""
			if c.method == "POST" {
				body = "body"
			}
			if got := ask(cl, c.method, url+"/x", body); got != c.want {
				t.Errorf("%s, want %s (%v)", got, c.want, g.fault.Load())
			}
			if n := dials.Load(); n != c.dials {
				t.Errorf("%d connections, want %d", n, c.dials)
			}
		})
	}
}

// After GOAWAY, what goes on goes on, and what comes goes elsewhere.
func TestGoAwayKeepsStreams(t *testing.T) {
	release, said := make(chan bool), make(chan bool)
	l := newServer(t, nil, func(p *peer, n int) {
		if n > 0 {
			p.serves("second")
			return
		}
		c := p.request()
		_ = p.WriteGoAway(c.id, http2.ErrCodeNo, nil)
		close(said)
		<-release
		p.answer(c.id, "first")
		p.drain() // the connection is closed by who has no use for it
	})
	g := newGate(t, l, testTimeouts)
	c, url := g.client(t, true)
	first := make(chan string, 1)
	go func() { first <- ask(c, "GET", url, "") }()
	<-said
	for range 3 {
		if got := ask(c, "POST", url, "body"); got != "200 second" {
			t.Error(got)
		}
	}
	close(release)
	if got := <-first; got != "200 first" {
		t.Error(got)
	}
	until(t, "one connection", func() bool { return g.idle.Shared() == 1 })
}

// A stream's code passes from the server to the client.
func TestResetCodes(t *testing.T) {
	for _, code := range []http2.ErrCode{http2.ErrCodeCancel, http2.ErrCodeEnhanceYourCalm, http2.ErrCodeInternal} {
		l := newServer(t, nil, func(p *peer, _ int) {
			c := p.request()
			p.head(c.id, false, ":status", "200")
			_ = p.WriteData(c.id, false, []byte("part"))
			_ = p.WriteRSTStream(c.id, code)
			p.drain()
		})
		g := newGate(t, l, testTimeouts)
		cl, url := g.client(t, true)
		resp, err := cl.Get(url)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), code.String()) {
			t.Errorf("%v: %v", code, err)
		}
	}
}

// A client that leaves takes its stream with it: before the answer, and inside it.
func TestClientLeaves(t *testing.T) {
	for _, inside := range []bool{false, true} {
		seen, reset := make(chan bool, 1), make(chan http2.ErrCode, 1)
		l := newServer(t, nil, func(p *peer, _ int) {
			c := p.request()
			if inside {
				p.head(c.id, false, ":status", "200")
			}
			seen <- true
			for f := p.next(); f != nil; f = p.next() {
				if r, ok := f.(*http2.RSTStreamFrame); ok && r.StreamID == c.id {
					reset <- r.ErrCode
				}
			}
		})
		g := newGate(t, l, testTimeouts)
		cl, url := g.client(t, true)
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		go func() {
			<-seen
			cancel()
		}()
		resp, err := cl.Do(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		select {
		case code := <-reset:
			if code != http2.ErrCodeCancel {
				t.Errorf("code %v", code)
			}
		case <-time.After(guardTime):
			t.Errorf("inside=%v: the server was not told", inside)
		}
		cancel()
	}
}

// A client that takes nothing holds its own stream back, in bounded memory, and
// nobody else's; the server is held back, not cut.
func TestSlowClient(t *testing.T) {
	var sent atomic.Int64
	const size = 32 << 20
	l := newServer(t, nil, func(p *peer, _ int) {
		window, conn := int64(streamWindow), int64(connWindow)
		var big uint32
		chunk := make([]byte, 16<<10)
		for {
			for big != 0 && window >= int64(len(chunk)) && conn >= int64(len(chunk)) && sent.Load() < size {
				if p.WriteData(big, sent.Load()+int64(len(chunk)) == size, chunk) != nil {
					return
				}
				window -= int64(len(chunk))
				conn -= int64(len(chunk))
				sent.Add(int64(len(chunk)))
			}
			f, err := p.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					_ = p.WriteSettingsAck()
				}
			case *http2.WindowUpdateFrame:
				switch f.StreamID {
				case 0:
					conn += int64(f.Increment)
				case big:
					window += int64(f.Increment)
				}
			case *http2.HeadersFrame:
				fields, _ := p.dec.DecodeFull(f.HeaderBlockFragment())
				small := false
				for _, f := range fields {
					small = small || f.Name == ":path" && f.Value == "/small"
				}
				if small {
					p.answer(f.StreamID, "small")
					continue
				}
				p.head(f.StreamID, false, ":status", "200")
				big = f.StreamID
			}
		}
	})
	g := newGate(t, l, testTimeouts)
	c := (&proxy{addr: g.h1}).dial(t)
	c.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
	// What the sockets between hold is not ours; what we hold is two windows.
	last := int64(-1)
	until(t, "the server to be held back", func() bool {
		time.Sleep(50 * time.Millisecond) // it must stand still for as long
		now := sent.Load()
		still := now == last && now > 0
		last = now
		return still
	})
	if last >= size/2 {
		t.Fatalf("%d bytes were taken from the server", last)
	}
	cl, url := g.client(t, true)
	for range 20 {
		if got := ask(cl, "GET", url+"/small", ""); got != "200 small" {
			t.Fatal(got)
		}
	}
	if n := g.idle.Shared(); n != 1 {
		t.Errorf("%d connections", n)
	}
	r := c.answer("GET")
	if r.err != nil || len(r.body) != size {
		t.Errorf("%d bytes, %v", len(r.body), r.err)
	}
}

// A server whose windows are small is waited for, and one that opens none is given
// up after the stall timeout.
func TestSmallWindows(t *testing.T) {
	settings := []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 10}}
	l := newServer(t, settings, func(p *peer, _ int) {
		c := p.request()
		var got bytes.Buffer
		for !c.ended {
			f, ok := p.next().(*http2.DataFrame)
			if !ok {
				return
			}
			got.Write(f.Data())
			c.ended = f.StreamEnded()
			if n := uint32(len(f.Data())); n > 0 && c.fields[":path"] == "/taken" {
				_ = p.WriteWindowUpdate(c.id, n)
				_ = p.WriteWindowUpdate(0, n)
			}
		}
		p.answer(c.id, got.String())
		p.serves("")
	})
	body := strings.Repeat("0123456789abcdef", 100)
	g := newGate(t, l, timeoutsOf(100*time.Millisecond))
	c, url := g.client(t, true)
	if got := ask(c, "POST", url+"/stuck", body); got != "504 " {
		t.Errorf("%.80s", got)
	}
	if f := g.fault.Load(); f == nil || f.Cause != "server does not take the request" {
		t.Errorf("%v", f)
	}
	g = newGate(t, l, testTimeouts)
	c, url = g.client(t, true)
	if got := ask(c, "POST", url+"/taken", body); got != "200 "+body {
		t.Errorf("%.80s", got)
	}
}

// Timeouts are the exchange's: the connection goes on for others.
func TestNoAnswerInTime(t *testing.T) {
	reset := make(chan http2.ErrCode, 1)
	l := newServer(t, nil, func(p *peer, _ int) {
		c := p.request()
		for f := p.next(); f != nil; f = p.next() {
			switch f := f.(type) {
			case *http2.RSTStreamFrame:
				if f.StreamID == c.id {
					reset <- f.ErrCode
				}
			case *http2.HeadersFrame:
				p.answer(f.StreamID, "ok")
			}
		}
	})
	g := newGate(t, l, timeoutsOf(100*time.Millisecond))
	c, url := g.client(t, false)
	if got := ask(c, "GET", url, ""); got != "504 " {
		t.Error(got)
	}
	if code := <-reset; code != http2.ErrCodeCancel {
		t.Error(code)
	}
	g.server.Timeouts = testTimeouts
	if got := ask(c, "GET", url, ""); got != "200 ok" {
		t.Error(got)
	}
	if n := g.idle.Shared(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A connection to a server that does not speak HTTP/2 is a failure to connect.
func TestNotHTTP2(t *testing.T) {
	o := newOrigin(t, func(c *net.TCPConn, _ *bufio.Reader) {
		says(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
	})
	g := newGate(t, o, testTimeouts)
	c, url := g.client(t, false)
	if got := ask(c, "POST", url, "body"); got != "503 " {
		t.Error(got)
	}
	if f := g.fault.Load(); f == nil || f.Begun || f.Phase != flow.PhaseConnect || f.Cause != "server does not speak HTTP/2" {
		t.Errorf("%+v", f)
	}
}

// A connection that has been quiet is asked for a sign of life with the next
// request, and given up when there is none.
func TestSignOfLife(t *testing.T) {
	l := newServer(t, nil, func(p *peer, n int) {
		if n > 0 {
			p.serves("new")
			return
		}
		c := p.request()
		p.answer(c.id, "old")
		for { // frozen: takes bytes and says nothing
			if _, err := p.Conn.Read(make([]byte, 1024)); err != nil {
				return
			}
		}
	})
	g := newGate(t, l, testTimeouts)
	c, url := g.client(t, false)
	if got := ask(c, "GET", url, ""); got != "200 old" {
		t.Fatal(got)
	}
	m := g.idle.mux.all()[0]
	m.mu.Lock()
	m.lastIn -= pingAfter + 1 // as if it had been quiet for so long
	m.pingLimit = int64(10 * time.Millisecond)
	m.mu.Unlock()
	if got := ask(c, "GET", url, ""); got != "200 new" {
		t.Error(got)
	}
	if m.failed == nil || !m.failed.Timeout {
		t.Errorf("%v", m.failed)
	}
}

// Idle connections end after their time, and none of their goroutines stays.
func TestIdleShared(t *testing.T) {
	closed := make(chan bool, 1)
	l := newServer(t, nil, func(p *peer, _ int) {
		p.serves("ok")
		closed <- true
	})
	before := runtime.NumGoroutine()
	timeouts := testTimeouts
	timeouts.Idle = 50 * time.Millisecond
	g := newGate(t, l, timeouts)
	c, url := g.client(t, false)
	if got := ask(c, "GET", url, ""); got != "200 ok" {
		t.Fatal(got)
	}
	<-closed
	until(t, "an empty set", func() bool { return g.idle.Shared() == 0 })
	c.CloseIdleConnections()
	until(t, "the goroutines' end", func() bool { return runtime.NumGoroutine() <= before+4 })
}
