package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/acme/acmetest"
)

// patience bounds what is waited for; nothing is expected to take that long.
const patience = 30 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, good func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !good(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not in %s", what, patience)
		}
	}
}

// world is a machine that an authority can reach: its ports 80 and 443 answer with
// what a set of challenges knows.
type world struct {
	challenges          *Challenges
	httpPort, alpnPort  int
	httpAsked, tlsAsked int
	hold                chan struct{} // nil, or closed when answers may go out
	mu                  sync.Mutex
}

func portOf(t *testing.T, l net.Listener) int {
	t.Helper()
	a, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no TCP address")
	}
	return a.Port
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{challenges: NewChallenges()}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.httpAsked++
		w.mu.Unlock()
		if w.hold != nil {
			<-w.hold
		}
		ch, ok := w.challenges.http(strings.TrimPrefix(r.URL.Path, challengePath))
		if host, _, _ := net.SplitHostPort(r.Host); !ok || host != ch.Identifier && r.Host != ch.Identifier {
			http.NotFound(rw, r)
			return
		}
		_, _ = rw.Write([]byte(ch.Answer))
	})}
	go func() { _ = s.Serve(plain) }()
	t.Cleanup(func() { _ = s.Close() })
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		GetCertificate: w.challenges.Certificate, NextProtos: []string{ALPN}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = secure.Close() })
	go func() {
		for {
			c, err := secure.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if t, ok := c.(*tls.Conn); ok && t.HandshakeContext(context.Background()) == nil {
					w.mu.Lock()
					w.tlsAsked++
					w.mu.Unlock()
				}
			}()
		}
	}()
	w.httpPort, w.alpnPort = portOf(t, plain), portOf(t, secure)
	return w
}

func (w *world) asked() (byHTTP, byTLS int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.httpAsked, w.tlsAsked
}

// settings gives what a configuration for the authority would say.
func settings(t *testing.T, all ...*acmetest.CA) Settings {
	t.Helper()
	s := Settings{Storage: t.TempDir(), KeyType: "p256", HTTP: true, ALPN: true}
	for _, ca := range all {
		roots, err := os.ReadFile(ca.RootFile)
		if err != nil {
			t.Fatal(err)
		}
		s.CAs = append(s.CAs, CA{URL: ca.URL, Roots: roots})
	}
	return s
}

// impatient is how long tests wait after a failure.
func impatient(int, error) time.Duration { return 20 * time.Millisecond }

// open makes a manager that ends with the test.
func open(t *testing.T, s Settings, w *world) *Manager {
	t.Helper()
	m, err := Open(s, Deps{Challenges: w.challenges, Log: slog.New(slog.DiscardHandler), every: 50 * time.Millisecond, retry: impatient})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// serve makes a started source that ends with the test.
func serve(t *testing.T, m *Manager, hosts ...string) *Source {
	t.Helper()
	s := m.Source(hosts)
	s.Load()
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// shown does a handshake for a name and gives the certificate that was shown,
// verified at a time; zero: when it began, however busy this machine is.
func shown(s *Source, name string, roots *x509.CertPool, at time.Time) (*x509.Certificate, error) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	failed := make(chan error, 1)
	go func() {
		c := tls.Server(there, &tls.Config{GetCertificate: s.Certificate, MinVersion: tls.VersionTLS12})
		err := c.HandshakeContext(context.Background())
		failed <- err
		if err == nil {
			_, _ = c.Read(make([]byte, 1)) // until the client leaves
		}
	}()
	c := tls.Client(here, &tls.Config{
		ServerName: name, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // for VerifyConnection does it
		VerifyConnection: func(cs tls.ConnectionState) error {
			leaf, between := cs.PeerCertificates[0], x509.NewCertPool()
			for _, c := range cs.PeerCertificates[1:] {
				between.AddCert(c)
			}
			o := x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, CurrentTime: at}
			if at.IsZero() {
				o.CurrentTime = leaf.NotBefore.Add(time.Second)
			}
			_, err := leaf.Verify(o)
			return err
		},
	})
	if err := c.HandshakeContext(context.Background()); err != nil {
		select {
		case why := <-failed: // the server knows more
			if why != nil {
				return nil, why
			}
		case <-time.After(time.Second):
		}
		return nil, err
	}
	return c.ConnectionState().PeerCertificates[0], nil
}
