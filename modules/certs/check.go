package certs

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// expiring is how long before its end a certificate is warned of.
const expiring = 14 * 24 * time.Hour

// Check implements Source: it reads what changed, and judges.
func (s *Store) Check(names []string) []Finding {
	s.Refresh()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Finding
	now := time.Now()
	for i := range s.sets {
		st := &s.sets[i]
		if st.err != nil {
			out = append(out, finding(i, st.err))
			continue
		}
		for _, e := range st.entries {
			out = append(out, e.check(i, now)...)
		}
		for _, f := range st.worldReadable() {
			out = append(out, Finding{File: i, Severity: diag.Warning, Rule: "key-readable-by-all",
				Message: "every user of this machine can read the key in " + f, Help: "chmod o-r " + f})
		}
	}
	for _, f := range out {
		if f.Severity == diag.Error {
			return out
		}
	}
	t := s.table.Load()
	for _, n := range names {
		if n != "" && !t.covers(n) {
			out = append(out, Finding{File: -1, Severity: diag.Warning, Rule: "name-not-covered",
				Message: fmt.Sprintf("no certificate of this site is for %q", n), Help: "they are for " + t.summary()})
		}
	}
	return out
}

// covers tells whether a site's name has a certificate. A wildcard is covered by
// the same wildcard only.
func (t *table) covers(name string) bool {
	if rest, ok := strings.CutPrefix(name, "*"); ok {
		return t.wild[rest] != nil
	}
	return t.find(name) != nil
}

// summary lists a few of the names there are.
func (t *table) summary() string {
	var names []string
	for n := range t.exact {
		names = append(names, n)
	}
	for n := range t.wild {
		names = append(names, "*"+n)
	}
	if len(names) == 0 {
		return "no name at all"
	}
	slices.Sort(names)
	if len(names) > 6 {
		names = append(names[:6], "…")
	}
	return strings.Join(names, ", ")
}

// check judges one certificate.
func (e *entry) check(file int, now time.Time) []Finding {
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	who := "the certificate"
	if names := e.names(); len(names) > 0 {
		who += " for " + names[0]
	}
	var out []Finding
	add := func(severity diag.Severity, rule, message, help string) {
		out = append(out, Finding{File: file, Severity: severity, Rule: rule, Message: who + " " + message, Help: help})
	}
	switch {
	case now.After(e.leaf.NotAfter):
		add(diag.Error, "certificate-expired", "expired on "+day(e.leaf.NotAfter), "")
	case now.Before(e.leaf.NotBefore):
		add(diag.Warning, "certificate-not-yet-valid", "is not valid before "+e.leaf.NotBefore.UTC().Format(time.DateTime)+" UTC", "is this machine's clock right?")
	case now.Add(expiring).After(e.leaf.NotAfter):
		add(diag.Warning, "certificate-expiring", "expires on "+day(e.leaf.NotAfter), "")
	}
	// Who names where the issuer's certificate can be had was issued by an
	// intermediate, nearly always; without it most clients cannot verify.
	if len(e.chain) == 1 && len(e.leaf.IssuingCertificateURL) > 0 && !bytes.Equal(e.leaf.RawIssuer, e.leaf.RawSubject) {
		add(diag.Warning, "incomplete-chain", "comes without that of its issuer, "+e.leaf.Issuer.String(), "append the issuer's certificate to the file (fullchain.pem)")
	}
	return out
}

// IsIP tells whether a site's host is an address, which clients send no server name for.
func IsIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
