package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
)

// entry is one certificate with its key.
type entry struct {
	cert  atomic.Pointer[tls.Certificate] // with its staple, if it has one
	leaf  *x509.Certificate
	chain []*x509.Certificate
	rank  int // 0 ECDSA, 1 Ed25519, 2 RSA: cheaper signatures first
	ocsp  staple
}

// names lists what the certificate is good for.
func (e *entry) names() []string {
	var out []string
	for _, n := range e.leaf.DNSNames {
		out = append(out, strings.ToLower(n))
	}
	for _, ip := range e.leaf.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

// table finds certificates by server name. It is not changed once it serves.
type table struct {
	exact map[string][]*entry
	wild  map[string][]*entry // ".example.com" for *.example.com
	first []*entry            // for names that nothing covers
}

func newTable(all []*entry) *table {
	t := &table{exact: map[string][]*entry{}, wild: map[string][]*entry{}}
	for _, e := range all {
		for _, n := range e.names() {
			if rest, ok := strings.CutPrefix(n, "*"); ok {
				t.wild[rest] = append(t.wild[rest], e)
			} else {
				t.exact[n] = append(t.exact[n], e)
			}
		}
	}
	for _, m := range []map[string][]*entry{t.exact, t.wild} {
		for _, l := range m {
			slices.SortStableFunc(l, func(a, b *entry) int { return a.rank - b.rank })
		}
	}
	if len(all) > 0 {
		t.first = all[:1]
		if names := all[0].names(); len(names) > 0 {
			t.first = t.find(names[0]) // with its siblings of other key types
			if strings.HasPrefix(names[0], "*") {
				t.first = t.wild[names[0][1:]]
			}
		}
	}
	return t
}

// find gives the certificates of a name, the preferred one first; nil if none
// covers it. A wildcard stands for one label (RFC 6125 §6.4.3).
func (t *table) find(name string) []*entry {
	if l := t.exact[name]; l != nil {
		return l
	}
	if i := strings.IndexByte(name, '.'); i > 0 {
		return t.wild[name[i:]]
	}
	return nil
}

var errNoCertificate = errors.New("no certificate")

// choose gives the certificate for a handshake.
func (t *table) choose(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	l := t.find(strings.ToLower(h.ServerName))
	if l == nil {
		l = t.first
	}
	switch len(l) {
	case 0:
		return nil, errNoCertificate
	case 1:
		return l[0].cert.Load(), nil
	}
	anyName := *h
	anyName.ServerName = "" // the name was looked at above
	for _, e := range l {
		if c := e.cert.Load(); anyName.SupportsCertificate(c) == nil {
			return c, nil
		}
	}
	return l[len(l)-1].cert.Load(), nil
}
