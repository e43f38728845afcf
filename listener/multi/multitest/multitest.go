// Package multitest is what the tests of HTTP/2 and HTTP/3 have in common: what both
// versions refuse and pass on of a request's head, as one table of cases run over
// both (Run), and a host's parts.
package multitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// Patience is when a test that waits for what must come gives up.
const Patience = 30 * time.Second

// Limits are far from any wait that a test may notice, but for what it sets.
var Limits = flow.Limits{
	HeadBytes: 32 << 10, Fields: 100, Header: time.Minute, Idle: time.Minute,
	Stall: time.Minute, Drain: time.Minute, Handshake: 20 * time.Second,
}

// Certificate gives one of no name.
var Certificate = sync.OnceValue(func() tls.Certificate {
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

// Settled wants the number of goroutines to come back to what it was.
func Settled(t testing.TB, before int) {
	t.Helper()
	for until := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
		if runtime.NumGoroutine() <= before {
			return
		}
		if time.Now().After(until) {
			buf := make([]byte, 1<<17)
			t.Fatalf("%d goroutines, before %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// Paths answers with the path, and with the body if there is one.
var Paths = flowtest.Func(func(x *flow.Exchange) {
	body, err := io.ReadAll(x.Req.Body)
	if err != nil {
		var fault *flow.Error
		if errors.As(err, &fault) {
			_ = x.Respond(fault.StatusCode(), "", nil)
		}
		return
	}
	_ = x.Respond(200, "", append(slices.Clone(x.Req.Path), body...))
})

// Get gives the fields of a request, name, value, name, value.
func Get(path string, fields ...string) []string {
	return append([]string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", path}, fields...)
}

// Post is Get with another method.
func Post(path string, fields ...string) []string {
	f := Get(path, fields...)
	f[1] = "POST"
	return f
}
