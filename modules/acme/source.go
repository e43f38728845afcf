package acme

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/certs"
)

// Source gives the certificates of a site's names: a certs.Source.
type Source struct {
	manager *Manager
	hosts   []string // of the site; "" takes every name, on demand
	mu      sync.Mutex
	loaded  bool
	started bool
	over    bool
}

// Source gives a site's share.
func (m *Manager) Source(hosts []string) *Source {
	return &Source{manager: m, hosts: slices.Clone(hosts)}
}

// Load reads the certificates that are in storage, which serve from then on.
func (s *Source) Load() {
	s.manager.load(s.named())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = true
}

// named lists the names that are managed without being asked for.
func (s *Source) named() []string {
	if s.manager.ask != nil {
		return nil
	}
	return s.hosts
}

// Start has what is missing issued, and all renewed. Further calls do nothing.
func (s *Source) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.over {
		return
	}
	s.started = true
	s.manager.manage(s.named())
}

// Close implements certs.Source.
func (s *Source) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started && !s.over {
		s.manager.release(s.named())
	}
	s.over = true
}

// Certificate implements certs.Source.
func (s *Source) Certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	asked := lowerName(h.ServerName)
	if asked == "" && h.Conn != nil {
		if a, err := netip.ParseAddrPort(h.Conn.LocalAddr().String()); err == nil {
			asked = a.Addr().Unmap().WithZone("").String()
		}
	}
	m := s.manager
	if m.ask != nil {
		return s.onDemand(h, asked)
	}
	name := s.subject(asked)
	if c := m.find(name); c != nil {
		return c, nil
	}
	return nil, m.reason(name)
}

// onDemand serves what there is while it is good, and has the rest issued.
func (s *Source) onDemand(h *tls.ClientHelloInfo, name string) (*tls.Certificate, error) {
	if name == "" || certs.IsIP(name) || !demandable(name) {
		return nil, fmt.Errorf("no certificate can be had on demand for %q", name)
	}
	if s.subject(name) == "" {
		return nil, fmt.Errorf("%q is none of the site's names", name)
	}
	m := s.manager
	if c := m.find(name); c != nil && time.Now().Before(c.Leaf.NotAfter) {
		return c, nil
	}
	if err := m.demand(h.Context(), name); err != nil {
		return nil, err
	}
	if c := m.find(name); c != nil {
		return c, nil
	}
	return nil, m.reason(name)
}

// subject gives the name a certificate is kept for, that a client means by a name:
// itself, its wildcard, or the site's first; on demand "" if it is none of the site's.
func (s *Source) subject(asked string) string {
	wild := ""
	for _, h := range s.hosts {
		rest, ok := strings.CutPrefix(h, "*")
		switch {
		case h == asked || h == "" && s.manager.ask != nil:
			return asked
		case ok && strings.HasSuffix(asked, rest) && strings.IndexByte(asked, '.') == len(asked)-len(rest):
			wild = h
		}
	}
	if wild == "" && s.manager.ask == nil && len(s.hosts) > 0 {
		return s.hosts[0]
	}
	return wild
}

// reason says why there is no certificate.
func (m *Manager) reason(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.names[name]
	switch {
	case s == nil || s.err == nil:
		return fmt.Errorf("no certificate for %s yet: it is being issued", name)
	case s.next.IsZero():
		return fmt.Errorf("no certificate for %s: %w", name, s.err)
	default:
		return fmt.Errorf("no certificate for %s: %w (next attempt at %s)", name, s.err, s.next.UTC().Format(time.RFC3339))
	}
}

// Check implements certs.Source: whether what is issued could be stored. Before Load
// nothing is found: a configuration may be checked by another user than runs it.
func (s *Source) Check([]string) []certs.Finding {
	s.mu.Lock()
	loaded := s.loaded
	s.mu.Unlock()
	if !loaded {
		return nil
	}
	if f, ok := s.manager.store.(*Files); ok {
		if err := f.writable(); err != nil {
			return []certs.Finding{{File: -1, Severity: diag.Error, Rule: "state-directory",
				Message: "certificates cannot be stored: " + err.Error(),
				Help:    "name a directory that Loadstar may write: `storage` of `acme`, or `state` in the global options"}}
		}
	}
	return nil
}

var _ certs.Source = (*Source)(nil)
