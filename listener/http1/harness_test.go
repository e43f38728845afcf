package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// layered is a stream over a socket, as TLS is: no descriptor to be had.
type layered struct{ net.Conn }

func (l layered) CloseWrite() error { return l.Conn.(*net.TCPConn).CloseWrite() }
func (l layered) NetConn() net.Conn { return l.Conn }

// host serves connections for a test.
type host struct {
	addr   string
	source flow.Source
	wg     sync.WaitGroup
	served chan struct{} // a connection ended
}

// modes are the two ways of serving: inside the callback, and by blocking reads.
func modes(t *testing.T, f func(t *testing.T, plain bool)) {
	t.Run("plain", func(t *testing.T) { f(t, true) })
	t.Run("layered", func(t *testing.T) { f(t, false) })
}

// testLimits are far from any wait that a test may notice, but for what it sets.
var testLimits = flow.Limits{
	HeadBytes: 32 << 10, Fields: 100, Header: time.Minute, Idle: time.Minute,
	Stall: time.Minute, Drain: time.Minute,
}

func binding(s flow.Server, l flow.Limits) *flow.Binding {
	return &flow.Binding{Server: s, Generation: flow.NewGeneration(1), Limits: l}
}

// serve accepts connections until the test ends, and then wants all of them gone.
func serve(t testing.TB, plain bool, b *flow.Binding) *host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{addr: l.Addr().String(), served: make(chan struct{}, 1000)}
	h.source.Store(b)
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	h.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			h.wg.Go(func() {
				h.one(nc, plain)
				mu.Lock()
				delete(open, nc)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for nc := range open {
			_ = nc.SetDeadline(time.Unix(1, 0)) // wakes it; Close would wait for it
		}
		mu.Unlock()
		h.wg.Wait()
	})
	return h
}

func (h *host) one(nc net.Conn, plain bool) {
	fc := &flow.Conn{Conn: nc, Accepted: time.Now(), Source: &h.source}
	if plain {
		fc.Socket, fc.Parks = nc.(*net.TCPConn), true
	} else {
		fc.Conn = layered{nc}
	}
	h.stretch(fc, func() { Server{}.ServeConn(fc) })
}

// stretch serves until the connection is done, or parked.
func (h *host) stretch(fc *flow.Conn, f func()) {
	defer func() {
		if next := fc.Unpark(); next != nil {
			h.wg.Go(func() { h.stretch(fc, next) })
			return
		}
		_ = recover() // as the accept loop does
		fc.Unpin()
		_ = fc.Close()
		select {
		case h.served <- struct{}{}:
		default:
		}
	}()
	f()
}

// client is a raw client.
type client struct {
	*net.TCPConn
	t  testing.TB
	br *bufio.Reader
}

// guardTime is when a test that waits for what must come gives up.
const guardTime = 20 * time.Second

func (h *host) dial(t testing.TB) *client {
	t.Helper()
	nc, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(guardTime))
	return &client{nc.(*net.TCPConn), t, bufio.NewReader(nc)}
}

func (c *client) send(s string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, s); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// reply is one answer as net/http reads it.
type reply struct {
	*http.Response
	body string
	err  error
}

func (c *client) answer(method string) *reply {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	return &reply{resp, string(body), err}
}

func (c *client) want(status int, body string) *reply {
	c.t.Helper()
	r := c.answer("GET")
	if r.StatusCode != status || r.body != body || r.err != nil {
		c.t.Fatalf("status %d, %.60q, %v; want %d, %.60q", r.StatusCode, r.body, r.err, status, body)
	}
	return r
}

// ends wants the connection to be closed, cleanly, and nothing before that.
func (c *client) ends() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.br); err != nil || len(rest) > 0 {
		c.t.Fatalf("rest %.100q, %v; want a clean end", rest, err)
	}
}

// stays wants the connection to answer once more.
func (c *client) stays() {
	c.t.Helper()
	c.send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n").want(200, "/again")
}

// paths answers with the path, and with the body if there is one.
var paths = flowtest.Func(func(x *flow.Exchange) {
	body, err := io.ReadAll(x.Req.Body)
	if err != nil {
		var fault *flow.Error
		if errors.As(err, &fault) {
			_ = x.Respond(fault.StatusCode(), "", nil)
		}
		return
	}
	_ = x.Respond(200, "", append(bytes.Clone(x.Req.Path), body...))
})

func req(path string, fields ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: a\r\n" + strings.Join(append(fields, "", ""), "\r\n")
}

// settled wants the number of goroutines to come back to what it was.
func settled(t *testing.T, before int) {
	t.Helper()
	for until := time.Now().Add(guardTime); ; time.Sleep(time.Millisecond) {
		if runtime.NumGoroutine() <= before {
			return
		}
		if time.Now().After(until) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, before %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestContract(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		flowtest.Run(t, func(t *testing.T, s flow.Server) (*http.Client, string) {
			h := serve(t, plain, binding(s, testLimits))
			tr := &http.Transport{MaxIdleConnsPerHost: 100}
			t.Cleanup(tr.CloseIdleConnections)
			return &http.Client{Transport: tr}, "http://" + h.addr
		})
	})
}
