package http2

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// testLimits are far from any wait that a test may notice, but for what it sets.
var testLimits = flow.Limits{
	HeadBytes: 32 << 10, Fields: 100, Header: time.Minute, Idle: time.Minute,
	Stall: time.Minute, Drain: time.Minute,
}

// guardTime is when a test that waits for what must come gives up.
const guardTime = 20 * time.Second

// host serves connections for a test.
type host struct {
	addr   string
	source flow.Source
	wg     sync.WaitGroup
	panics chan any
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)},
		&x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

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
		settled(t, before)
	})
	return h
}

func (h *host) one(nc net.Conn, secure bool) {
	fc := &flow.Conn{Conn: nc, Accepted: time.Now(), Source: &h.source}
	fc.Socket, _ = nc.(*net.TCPConn)
	fc.Caught = func(p any, _ []byte) { h.panics <- p }
	defer func() { _ = fc.Close() }()
	if secure {
		tc := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{"h2"}})
		if tc.Handshake() != nil {
			return
		}
		fc.Conn, fc.TLS = tc, &flow.TLS{ALPN: "h2"}
	}
	Server{}.ServeConn(fc)
}

// settled wants the number of goroutines to come back to what it was.
func settled(t testing.TB, before int) {
	t.Helper()
	for until := time.Now().Add(guardTime); ; time.Sleep(time.Millisecond) {
		if runtime.NumGoroutine() <= before {
			return
		}
		if time.Now().After(until) {
			buf := make([]byte, 1<<17)
			t.Fatalf("%d goroutines, before %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
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
