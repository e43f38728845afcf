package health

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// certificate makes one that is signed by itself.
func certificate(t testing.TB, end time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: end,
		Subject: pkix.Name{CommonName: "a \"b\"\nc"}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func tlsServer(t *testing.T, cfg *tls.Config) *Target {
	return listen(t, func(c net.Conn) {
		s := tls.Server(c, cfg)
		_ = s.Handshake()
		_, _ = io.Copy(io.Discard, s)
	})
}

func TestCertificateExpiry(t *testing.T) {
	warn := config.Node{Word: "warn", Args: []config.Value{{Int: int64(48 * time.Hour)}}}
	for _, c := range []struct {
		in     time.Duration
		valid  bool
		passes bool
		verb   string
		notice bool
	}{
		{100 * time.Hour, true, true, "expires", false},
		{10 * time.Hour, true, true, "expires", true},
		{-time.Hour, false, true, "expired", true},
		{-time.Hour, true, false, "expired", true},
	} {
		end := time.Now().Add(c.in)
		n := &config.Node{Options: []config.Node{warn}}
		if c.valid {
			n.Options = append(n.Options, config.Node{Word: "valid"})
		}
		p, _ := tlsModule.New(n)
		target := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{certificate(t, end)}})
		r, err := p.Probe(t.Context(), target)
		want := "TLS 1.3, certificate " + c.verb + " " + end.UTC().Format(time.DateOnly)
		if (err == nil) != c.passes || r.Info != want || (r.Notice != "") != c.notice {
			t.Errorf("%v: %s %q (%v)", c, r, r.Notice, err)
		}
		if strings.ContainsAny(r.Notice, "\"\n") {
			t.Errorf("%q is not fit for a log", r.Notice)
		}
	}
}

// A notice is told once, not at each probe, and again when it is another one.
func TestNoticeIsLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	m := &Monitor{Target: Target{Name: "p/s"}, Log: slog.New(slog.NewTextHandler(&out, nil)), Live: upstream.NewLive()}
	for _, n := range []string{"", "a", "a", "", "a", "b", "b"} {
		m.heed(Result{Notice: n})
	}
	if got := strings.Count(out.String(), "Health check for server p/s: a."); got != 1 || strings.Count(out.String(), "\n") != 2 {
		t.Error(out.String())
	}
}

// ssl_hello passes what a handshake would not: a server that wants a client's
// certificate, one that speaks TLS 1.3 only, one that knows no such name.
func TestSSLHelloAgainstRealServers(t *testing.T) {
	cert := []tls.Certificate{certificate(t, time.Now().Add(time.Hour))}
	for name, cfg := range map[string]*tls.Config{
		"plain":       {Certificates: cert},
		"client cert": {Certificates: cert, ClientAuth: tls.RequireAnyClientCert},
		"1.3 only":    {Certificates: cert, MinVersion: tls.VersionTLS13},
		"1.2 only":    {Certificates: cert, MaxVersion: tls.VersionTLS12},
		"unknown name": {GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return nil, io.ErrUnexpectedEOF
		}},
	} {
		r, err := sslHelloProbe{}.Probe(t.Context(), tlsServer(t, cfg))
		if err != nil {
			t.Errorf("%s: %s", name, r)
		}
	}
}
