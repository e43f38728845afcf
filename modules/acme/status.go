package acme

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/loadstar-lb/loadstar/modules/certs"
)

// Status tells how it stands with a name.
type Status struct {
	Name     string    `json:"name"`
	CA       string    `json:"ca"`                    // who issued the present certificate, as its issuer's common name
	NotAfter time.Time `json:"not_after,omitzero"`    // of the present certificate; zero: there is none
	Error    string    `json:"error,omitempty"`       // why there is no new one
	Next     time.Time `json:"next_attempt,omitzero"` // after an error, where it is known
}

// Status tells of all names that are kept, in order. Those on demand are not among
// them.
func (m *Manager) Status() []Status {
	m.mu.Lock()
	names := slices.Sorted(maps.Keys(m.names))
	out := make([]Status, len(names))
	for i, name := range names {
		out[i].Name = name
		if s := m.names[name]; s.err != nil {
			out[i].Error, out[i].Next = s.err.Error(), s.next
		}
	}
	m.mu.Unlock()
	for i := range out {
		if c := m.find(out[i].Name); c != nil {
			out[i].CA, out[i].NotAfter = c.Leaf.Issuer.CommonName, c.Leaf.NotAfter
		}
	}
	return out
}

// Expiries implements certs.Lister: the site's names, also those that still have no
// certificate. Of those on demand they are those that were asked for.
func (s *Source) Expiries() []certs.Expiry {
	m := s.manager
	if m.ask != nil {
		return s.demanded()
	}
	var out []certs.Expiry
	for _, name := range s.named() {
		e := certs.Expiry{Names: []string{name}}
		if c := m.find(name); c != nil {
			e = certs.ExpiryOf(c.Leaf)
		}
		m.mu.Lock()
		if sub := m.names[name]; sub != nil && sub.err != nil {
			e.Problem = sub.err.Error()
		}
		m.mu.Unlock()
		out = append(out, e)
	}
	return out
}

// demandsShown is how many certificates on demand are reported, of each site: there may
// be thousands, and those that expire first are the ones to look at.
const demandsShown = 100

// demanded reports the certificates in memory that clients of the site asked for.
func (s *Source) demanded() []certs.Expiry {
	m := s.manager
	var out []certs.Expiry
	m.ask.held(func(name string) bool {
		c := m.find(name)
		if c != nil && s.subject(name) != "" {
			out = append(out, certs.ExpiryOf(c.Leaf))
		}
		return c != nil
	})
	slices.SortFunc(out, func(a, b certs.Expiry) int {
		return cmp.Or(a.Until.Compare(b.Until), slices.Compare(a.Names, b.Names))
	})
	return out[:min(len(out), demandsShown)]
}

var _ certs.Lister = (*Source)(nil)
