package acme

import (
	"maps"
	"slices"
	"time"
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
