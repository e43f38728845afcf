package http2

import (
	"crypto/tls"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
	"github.com/loadstar-lb/loadstar/listener/multi/multitest"
)

// What the tests of both versions share.
const guardTime = multitest.Patience

var (
	testLimits = multitest.Limits
	paths      = multitest.Paths
	get, post  = multitest.Get, multitest.Post
)

// host serves connections for a test.
type host struct {
	addr   string
	source flow.Source
	wg     sync.WaitGroup
	panics chan any
}

// serve accepts connections until the test ends, and then wants all of them gone.
func serve(t testing.TB, secure bool, s flow.Server, l flow.Limits) *host {
	t.Helper()
	before := runtime.NumGoroutine()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &host{addr: ln.Addr().String(), panics: make(chan any, 100)}
	h.source.Store(&flow.Binding{Server: s, Generation: flow.NewGeneration(1), Limits: l})
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	h.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			h.wg.Go(func() {
				h.one(nc, secure)
				mu.Lock()
				delete(open, nc)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for nc := range open {
			_ = nc.Close()
		}
		mu.Unlock()
		h.wg.Wait()
		multitest.Settled(t, before)
	})
	return h
}

func (h *host) one(nc net.Conn, secure bool) {
	fc := &flow.Conn{Conn: nc, Accepted: time.Now(), Source: &h.source, Ended: new(atomic.Bool), Active: new(atomic.Int64)}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		fc.Client, fc.Peer = a.AddrPort(), a.AddrPort()
	}
	fc.Socket, _ = nc.(*net.TCPConn)
	fc.Caught = func(p any, _ []byte) { h.panics <- p }
	defer func() { _ = fc.Close() }()
	if secure {
		tc := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{multitest.Certificate()}, NextProtos: []string{"h2"}})
		if tc.Handshake() != nil {
			return
		}
		fc.Conn, fc.TLS = tc, &flow.TLS{ALPN: "h2"}
	}
	Server{}.ServeConn(fc)
}

// client gives net/http's client, which speaks HTTP/2 only.
func (h *host) client(t testing.TB, secure bool) (*http.Client, string) {
	tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	scheme := "http://"
	if secure {
		scheme = "https://"
		tr.Protocols.SetHTTP2(true)
	} else {
		tr.Protocols.SetUnencryptedHTTP2(true)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}, scheme + h.addr
}

// modes are the two ways in: with prior knowledge, and by TLS.
func modes(t *testing.T, f func(t *testing.T, secure bool)) {
	t.Run("clear", func(t *testing.T) { f(t, false) })
	t.Run("tls", func(t *testing.T) { f(t, true) })
}

func TestContract(t *testing.T) {
	modes(t, func(t *testing.T, secure bool) {
		flowtest.Run(t, func(t *testing.T, s flow.Server) (*http.Client, string) {
			return serve(t, secure, s, testLimits).client(t, secure)
		})
	})
}

func TestHeads(t *testing.T) {
	multitest.Run(t, func(t *testing.T, s flow.Server) func() multitest.Ask {
		h := serve(t, false, s, testLimits)
		return func() multitest.Ask {
			c, id := h.dialRaw(t), uint32(1)
			return func(fields ...string) (status, body string) {
				c.open(id, true, fields...)
				g := c.collect(id)
				id += 2
				return strings.Join(g.status, ""), g.body
			}
		}
	})
}
