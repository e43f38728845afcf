package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// Clients is who may be let in by certificate: the authorities that vouch for
// clients, and what these have revoked. It outlives configurations.
type Clients struct {
	ca, crl string
	log     *slog.Logger
	mu      sync.Mutex // of Refresh
	stamp   string
	err     error
	told    string
	state   atomic.Pointer[trust]
	poll    poll
}

// trust is what the files said when they were whole last.
type trust struct {
	pool    *x509.CertPool
	digest  [sha256.Size]byte // of both files
	revoked map[string]bool   // by issuer and serial
	lists   []*x509.RevocationList
}

// NewClients reads the authorities' certificates and, if crl is not "", their
// revocation lists (PEM or DER).
func NewClients(ca, crl string, log *slog.Logger) *Clients {
	c := &Clients{ca: ca, crl: crl, log: log}
	c.Refresh()
	return c
}

// Start begins to look at the files now and then; further calls do nothing.
func (c *Clients) Start() { c.poll.start(c.Refresh) }

// Close ends that.
func (c *Clients) Close() { c.poll.stop() }

// Refresh reads the files if they changed.
func (c *Clients) Refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	files := []string{c.ca}
	if c.crl != "" {
		files = append(files, c.crl)
	}
	stamp := stampOf(files)
	if c.err == nil && stamp == c.stamp {
		return
	}
	t, err := readTrust(c.ca, c.crl)
	if c.err = err; err != nil {
		if text := err.Error(); text != c.told {
			if c.told = text; c.state.Load() != nil {
				c.log.Error("client authorities cannot be read; the last good ones go on", "error", err)
			}
		}
		return
	}
	c.stamp, c.told = stamp, ""
	c.state.Store(t)
}

// Check tells what is wrong with the files now.
func (c *Clients) Check() []Finding {
	c.Refresh()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return []Finding{finding(-1, c.err)}
	}
	var out []Finding
	for _, l := range c.state.Load().lists {
		if !l.NextUpdate.IsZero() && time.Now().After(l.NextUpdate) {
			out = append(out, Finding{File: -1, Severity: diag.Warning, Rule: "crl-expired",
				Message: "the revocation list of " + l.Issuer.String() + " should have been renewed by " + l.NextUpdate.UTC().Format(time.DateOnly),
				Help:    "what it revokes stays revoked; what was revoked since is not known"})
		}
	}
	return out
}

func readTrust(ca, crl string) (*trust, error) {
	text, err := readFile(ca)
	if err != nil {
		return nil, err
	}
	p := &pile{}
	if err := p.add(ca, text); err != nil {
		return nil, err
	}
	if len(p.chains) == 0 {
		return nil, &Failure{"client-auth-without-ca", ca + " holds no certificate", "it must hold those of the authorities that issue clients' certificates"}
	}
	t := &trust{pool: x509.NewCertPool(), revoked: map[string]bool{}}
	for _, c := range p.chains[0] {
		if !c.IsCA {
			return nil, &Failure{"client-auth-without-ca", ca + " holds a certificate of " + c.Subject.String() + ", which is no authority",
				"it must hold those of the authorities that issue clients' certificates, not clients' own"}
		}
		t.pool.AddCert(c)
	}
	sum := sha256.New()
	sum.Write(text)
	if crl != "" {
		if text, err = readFile(crl); err != nil {
			return nil, err
		}
		sum.Write(text)
		if err := t.addLists(crl, text, p.chains[0]); err != nil {
			return nil, err
		}
	}
	sum.Sum(t.digest[:0])
	return t, nil
}

// addLists reads revocation lists, each signed by one of the authorities.
func (t *trust) addLists(path string, text []byte, cas []*x509.Certificate) error {
	var ders [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "X509 CRL" {
			ders = append(ders, block.Bytes)
		}
	}
	if ders == nil {
		ders = [][]byte{text}
	}
	for _, der := range ders {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return failure("bad-crl", "%s is no revocation list: %v", path, err)
		}
		signed := false
		for _, ca := range cas {
			signed = signed || bytes.Equal(ca.RawSubject, l.RawIssuer) && l.CheckSignatureFrom(ca) == nil
		}
		if !signed {
			return failure("bad-crl", "the revocation list in %s is signed by none of the authorities: it is of %s", path, l.Issuer)
		}
		for i := range l.RevokedCertificateEntries {
			t.revoked[string(l.RawIssuer)+"\x00"+l.RevokedCertificateEntries[i].SerialNumber.String()] = true
		}
		t.lists = append(t.lists, l)
	}
	return nil
}

var errRevoked = errors.New("the client's certificate is revoked")

// verify is called after every handshake, resumed ones included, so that a
// certificate revoked since its ticket was given is refused.
func (t *trust) verify(s tls.ConnectionState) error {
	for _, chain := range s.VerifiedChains {
		for _, c := range chain {
			if t.revoked[string(c.RawIssuer)+"\x00"+c.SerialNumber.String()] {
				return errRevoked
			}
		}
	}
	return nil
}
