package graph_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
	"github.com/loadstar-lb/loadstar/listener/http1"
	"github.com/loadstar-lb/loadstar/listener/http2"
	lh3 "github.com/loadstar-lb/loadstar/listener/http3"
)

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

// host serves connections with a binding, in one version of HTTP, until the test
// ends; it gives its address.
func host(t *testing.T, b *flow.Binding, version string, secure bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var source flow.Source
	source.Store(b)
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			wg.Go(func() {
				defer func() {
					mu.Lock()
					delete(open, nc)
					mu.Unlock()
					_ = nc.Close()
				}()
				fc := &flow.Conn{Conn: nc, Accepted: time.Now(), Source: &source, Caught: func(any, []byte) {}}
				fc.Socket, _ = nc.(*net.TCPConn)
				if secure {
					next := map[string]string{"h1": "http/1.1", "h2": "h2"}[version]
					tc := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{next}})
					if tc.Handshake() != nil {
						return
					}
					fc.Conn, fc.Socket, fc.TLS = tc, nil, &flow.TLS{ALPN: next}
				}
				if version == "h2" {
					http2.Server{}.ServeConn(fc)
					return
				}
				defer func() { _ = recover() }() // as whoever accepts does
				http1.Server{}.ServeConn(fc)
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
		wg.Wait()
	})
	return ln.Addr().String()
}

// host3 is host over QUIC.
func host3(t *testing.T, b *flow.Binding) string {
	t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	addr := pc.LocalAddr().String()
	bound := *b
	inner := &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{"h3"}, MinVersion: tls.VersionTLS13}
	bound.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil }}
	var source flow.Source
	source.Store(&bound)
	end := lh3.Server{}.Endpoint(pc, new([64]byte))
	l, err := end.Listen(&source)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				fc := &flow.Conn{Conn: nc, Accepted: time.Now(), Source: &source, Caught: func(any, []byte) {}}
				lh3.Server{}.ServeConn(fc)
				_ = fc.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		_ = end.Close()
		wg.Wait()
	})
	return addr
}

var patient = flow.Limits{
	HeadBytes: 32 << 10, Fields: 100, Header: time.Minute, Idle: time.Minute, Stall: time.Minute, Drain: time.Minute,
}

// client gives net/http's client of a version.
func client(t *testing.T, version string) *http.Client {
	if version == "h3" {
		tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.example"}}
		t.Cleanup(func() { _ = tr.Close() })
		return &http.Client{Transport: tr}
	}
	tr := &http.Transport{Protocols: new(http.Protocols)}
	if version == "h2" {
		tr.Protocols.SetUnencryptedHTTP2(true)
	} else {
		tr.Protocols.SetHTTP1(true)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// The contract of Responders holds from end to end: between any client and any
// server there is one exchange, whatever either of them speaks.
func TestProtocols(t *testing.T) {
	for _, c := range []struct {
		client, server, words string
		secure                bool
	}{
		{"h1", "h1", "", false},
		{"h2", "h1", "", false},
		{"h1", "h2", "protocol h2c", false},
		{"h2", "h2", "protocol h2c", false},
		{"h1", "h2", "tls verify off\n protocol h2", true},
		{"h2", "h2", "tls verify off\n protocol h2", true},
		{"h2", "h2", "tls verify off\n protocol auto", true},
		{"h2", "h1", "tls verify off\n protocol auto", true},
		{"h3", "h1", "", false},
		{"h1", "h3", "tls verify off\n protocol h3", true},
		{"h2", "h3", "tls verify off\n protocol h3", true},
		{"h3", "h3", "tls verify off\n protocol h3", true},
		{"h3", "h2", "tls verify off\n protocol h2", true},
	} {
		t.Run(fmt.Sprintf("%s to %s %q", c.client, c.server, c.words), func(t *testing.T) {
			flowtest.RunThrough(t, func(t *testing.T, s flow.Server) (*http.Client, string) {
				ours := &flow.Binding{Server: s, Generation: flow.NewGeneration(1), Limits: patient}
				var origin string
				if c.server == "h3" {
					origin = host3(t, ours)
				} else {
					origin = host(t, ours, c.server, c.secure)
				}
				g, found := buildIn(t, t.TempDir(), fmt.Sprintf("http://127.0.0.1:8080 {\n proxy p\n}\npool p {\n server s %s\n retry 0\n %s\n}\n", origin, c.words))
				if g == nil {
					t.Fatal(found)
				}
				g.Start()
				b := g.Listeners[0].Binding(flow.NewGeneration(1))
				if c.client == "h3" {
					return client(t, c.client), "https://" + host3(t, b)
				}
				return client(t, c.client), "http://" + host(t, b, c.client, false)
			})
		})
	}
}
