package http3

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

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

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
	end    flow.PacketEndpoint
	l      net.Listener
	wg     sync.WaitGroup
	panics chan any
	mu     sync.Mutex
	conns  []*flow.Conn
}

// binding is what a configuration makes of the socket.
func binding(s flow.Server, l flow.Limits, early bool) *flow.Binding {
	inner := &tls.Config{Certificates: []tls.Certificate{multitest.Certificate()}, NextProtos: []string{"h3"}, MinVersion: tls.VersionTLS13}
	inner.SetSessionTicketKeys([][32]byte{{1}})
	return &flow.Binding{
		Server: s, Generation: flow.NewGeneration(1), Limits: l, Packets: &flow.Packets{EarlyData: early},
		TLS: &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }},
	}
}

// serve accepts connections until the test ends, and then wants all of them gone.
func serve(t testing.TB, s flow.Server, l flow.Limits) *host {
	return serveBound(t, binding(s, l, false))
}

func serveBound(t testing.TB, b *flow.Binding) *host {
	t.Helper()
	before := runtime.NumGoroutine()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{addr: pc.LocalAddr().String(), panics: make(chan any, 100)}
	h.source.Store(b)
	h.end = Server{}.Endpoint(pc, &b.Packets.Secret)
	if h.l, err = h.end.Listen(&h.source); err != nil {
		t.Fatal(err)
	}
	h.wg.Go(func() {
		for {
			nc, err := h.l.Accept()
			if err != nil {
				return
			}
			h.wg.Go(func() { h.one(nc) })
		}
	})
	t.Cleanup(func() {
		_ = h.l.Close()
		_ = h.end.Close()
		h.wg.Wait()
		multitest.Settled(t, before)
	})
	return h
}

func (h *host) one(nc net.Conn) {
	fc := &flow.Conn{Conn: nc, Accepted: time.Now(), Source: &h.source, Ended: new(atomic.Bool), Active: new(atomic.Int64)}
	if u, ok := nc.RemoteAddr().(*net.UDPAddr); ok {
		fc.Client, fc.Peer = u.AddrPort(), u.AddrPort()
	}
	fc.Caught = func(p any, _ []byte) { h.panics <- p }
	h.mu.Lock()
	h.conns = append(h.conns, fc)
	h.mu.Unlock()
	Server{}.ServeConn(fc)
	_ = fc.Close()
}

var clientTLS = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}, ServerName: "a.example"}

// client gives quic-go's own client of HTTP/3.
func (h *host) client(t testing.TB) (*http.Client, string) {
	tr := &http3.Transport{TLSClientConfig: clientTLS, QUICConfig: &quic.Config{HandshakeIdleTimeout: guardTime}}
	t.Cleanup(func() { _ = tr.Close() })
	return &http.Client{Transport: tr}, "https://" + h.addr
}

func TestContract(t *testing.T) {
	flowtest.Run(t, func(t *testing.T, s flow.Server) (*http.Client, string) {
		return serve(t, s, testLimits).client(t)
	})
}

func TestHeads(t *testing.T) {
	multitest.Run(t, func(t *testing.T, s flow.Server) func() multitest.Ask {
		h := serve(t, s, testLimits)
		return func() multitest.Ask {
			c := h.dial(t)
			return func(fields ...string) (status, body string) {
				g := c.ask(headers(fields...))
				if g.err != nil {
					t.Fatal(g)
				}
				return strings.Join(g.status, ""), g.body
			}
		}
	})
}
