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
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

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

// What the kernel says of acknowledgements is asked only where it proves something;
// see TestSeen for HTTP/1.
func TestAcknowledged(t *testing.T) {
	l := newServer(t, nil, func(p *peer, _ int) { p.serves("hello") })
	g := newGate(t, l, testTimeouts)
	c, url := g.client(t, false)
	if got := ask(c, "GET", url, ""); got != "200 hello" {
		t.Fatal(got)
	}
	m := g.idle.mux.all()[0]
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, tt := range map[string]struct {
		why   error
		torn  bool
		known bool
	}{
		"end":                                 {errClosed, false, runtime.GOOS == "linux"},
		"an end that a reset told to a write": {errClosed, true, false},
		"reset":                               {syscall.ECONNRESET, false, false},
		"no sign of life":                     {os.ErrDeadlineExceeded, false, false},
		"no route any more":                   {syscall.ETIMEDOUT, false, false},
	} {
		m.torn = tt.torn
		if n := m.acknowledged(tt.why); (n > 0) != tt.known {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}

// Of requests that many clients send on one connection while its server resets it,
// none reaches the server twice, whoever is told of the reset: who reads or who writes.
func TestResetsAmongPosts(t *testing.T) {
	var seen sync.Map
	var twice atomic.Int64
	l := newServer(t, nil, func(p *peer, _ int) {
		left := 5 // requests until the reset
		for c := p.request(); c != nil; c = p.request() {
			if _, again := seen.LoadOrStore(c.fields[":path"], true); again {
				twice.Add(1)
			}
			if left--; left == 0 {
				_ = p.Conn.(*net.TCPConn).SetLinger(0)
				_ = p.Conn.Close()
				return
			}
			p.answer(c.id, "ok")
		}
	})
	g := newGate(t, l, testTimeouts)
	g.tries = 3
	c, url := g.client(t, true)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for j := range 100 {
				ask(c, "POST", fmt.Sprintf("%s/%d-%d", url, i, j), "body")
			}
		})
	}
	clients.Wait()
	if n := twice.Load(); n > 0 {
		t.Errorf("%d of 800 requests came twice", n)
	}
}
