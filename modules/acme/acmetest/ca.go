// Package acmetest is an authority that speaks ACME, for tests: Pebble in this
// process, with its faults, and a DNS that it believes.
package acmetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Options of an authority.
type Options struct {
	Address           string // where it listens; "": a free port of the loopback
	HTTPPort, TLSPort int    // where challenges are validated; 0: nobody is there
	Lifetime          time.Duration
	BadNonces         int               // percent of good nonces that are refused
	EAB               map[string]string // key identifiers and MAC keys, without which nobody gets an account
	Blocked           []string          // domains that nobody gets a certificate for
	DNS               *DNS              // nil: one in which every name is 127.0.0.1
}

// CA is a running authority.
type CA struct {
	URL      string // of its directory
	Address  string
	RootFile string         // PEM: who vouches for its own server
	Roots    *x509.CertPool // who vouches for what it issues
	DNS      *DNS

	server *http.Server
	orders atomic.Int64
	issued atomic.Int64
	replac atomic.Int64
}

// making holds what Pebble reads from the environment while it is made.
var making sync.Mutex

// Start starts an authority, which ends with the test.
func Start(t testing.TB, o Options) *CA {
	t.Helper()
	if o.DNS == nil {
		o.DNS = StartDNS(t)
	}
	making.Lock()
	for k, v := range map[string]string{
		"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": strconv.Itoa(o.BadNonces),
	} {
		_ = os.Setenv(k, v)
	}
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "default", ValidityPeriod: uint64(o.Lifetime / time.Second)}}
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, profiles)
	validator := va.New(quiet, o.HTTPPort, o.TLSPort, false, o.DNS.Address, store)
	for id, key := range o.EAB {
		if err := store.AddExternalAccountKeyByID(id, key); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range o.Blocked {
		if err := store.AddBlockedDomain(d); err != nil {
			t.Fatal(err)
		}
	}
	front := wfe.New(quiet, store, validator, authority, []string{"ca.test"}, false, len(o.EAB) > 0, 0, 0)
	making.Unlock()

	c := &CA{DNS: o.DNS, Roots: x509.NewCertPool()}
	c.Roots.AddCert(authority.GetRootCert(0).Cert)
	c.serve(t, o.Address, c.counting(front.Handler()))
	return c
}

// counting notes what is asked.
func (c *CA) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &status{ResponseWriter: w}
		next.ServeHTTP(s, r)
		switch {
		case s.code == http.StatusCreated && strings.HasPrefix(r.URL.Path, "/order-plz"):
			c.orders.Add(1)
		case s.code == http.StatusOK && strings.HasPrefix(r.URL.Path, "/certZ/"):
			c.issued.Add(1)
		}
		if strings.Contains(s.sample, `"replaces"`) && s.code == http.StatusCreated {
			c.replac.Add(1)
		}
	})
}

type status struct {
	http.ResponseWriter
	code   int
	sample string
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

func (s *status) Write(b []byte) (int, error) {
	if s.code == 0 {
		s.code = http.StatusOK
	}
	if len(s.sample) < 4096 {
		s.sample += string(b)
	}
	return s.ResponseWriter.Write(b)
}

// Orders tells how many orders were taken.
func (c *CA) Orders() int { return int(c.orders.Load()) }

// Issued tells how many certificates were handed out.
func (c *CA) Issued() int { return int(c.issued.Load()) }

// Replacing tells how many orders named a certificate that they replace.
func (c *CA) Replacing() int { return int(c.replac.Load()) }

// Stop ends the authority's server: nobody reaches it any more.
func (c *CA) Stop() { _ = c.server.Close() }

// serve has the authority reached by https.
func (c *CA) serve(t testing.TB, address string, h http.Handler) {
	t.Helper()
	cert, text := own(t)
	c.RootFile = filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(c.RootFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.Address = l.Addr().String()
	c.URL = "https://" + c.Address + wfe.DirectoryPath
	c.server = &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	t.Cleanup(c.Stop)
	go func() {
		_ = c.server.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}))
	}()
}

// own makes the certificate of the authority's server, which vouches for itself.
func own(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
