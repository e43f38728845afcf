package certs

import (
	"crypto/x509"
	"time"
)

// Expiry is a certificate that is shown to clients, for reports.
type Expiry struct {
	Names  []string  // DNS names, then IP addresses
	Serial string    // hexadecimal
	Until  time.Time // zero: there is none yet
	// Problem says why there is no certificate, or none that lasts longer; empty if
	// all is well.
	Problem string
}

// Lister is a Source that tells which certificates it has.
type Lister interface{ Expiries() []Expiry }

// ExpiryOf describes a certificate.
func ExpiryOf(c *x509.Certificate) Expiry {
	e := Expiry{Names: append([]string(nil), c.DNSNames...), Until: c.NotAfter}
	for _, ip := range c.IPAddresses {
		e.Names = append(e.Names, ip.String())
	}
	if c.SerialNumber != nil {
		e.Serial = c.SerialNumber.Text(16)
	}
	return e
}

// Expiries implements Lister.
func (s *Store) Expiries() []Expiry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Expiry
	for i := range s.sets {
		for _, e := range s.sets[i].entries {
			out = append(out, ExpiryOf(e.leaf))
		}
	}
	return out
}

// Expiries implements Lister: those that were made so far.
func (s *Internal) Expiries() []Expiry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Expiry
	for _, c := range s.made {
		out = append(out, ExpiryOf(c.Leaf))
	}
	return out
}

var _, _ Lister = (*Store)(nil), (*Internal)(nil)
