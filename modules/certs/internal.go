package certs

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Internal gives certificates of the local authority, one a name, made when a
// client first asks for it.
type Internal struct {
	Authority *Authority
	// Hosts are the names of the site: "" takes every name.
	Hosts []string

	mu   sync.Mutex
	made map[string]*tls.Certificate
}

// StandIn gives certificates in place of those that an authority will issue, for
// whoever only wants to know what would become of a handshake. Their issuer has the
// authority's name; nothing of it is kept.
func StandIn(authority string, hosts []string) (*Internal, error) {
	a, err := newAuthority(time.Now(), authority)
	if err != nil {
		return nil, err
	}
	return &Internal{Authority: a, Hosts: hosts}, nil
}

// mostMade bounds the certificates that are kept: who asks for ever new names
// costs a signature each, not memory.
const mostMade = 1024

// Certificate implements Source.
func (s *Internal) Certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	asked := strings.ToLower(h.ServerName)
	if asked == "" && h.Conn != nil { // by address
		if a, err := netip.ParseAddrPort(h.Conn.LocalAddr().String()); err == nil {
			asked = a.Addr().Unmap().WithZone("").String()
		}
	}
	return s.leaf(s.name(asked), time.Now())
}

// name is the name to make a certificate for: the site's, not the client's, where
// the site has one.
func (s *Internal) name(asked string) string {
	open := false
	for _, h := range s.Hosts {
		rest, wild := strings.CutPrefix(h, "*")
		if h != "" && h == asked || wild && strings.HasSuffix(asked, rest) && strings.IndexByte(asked, '.') == len(asked)-len(rest) {
			return h
		}
		open = open || h == ""
	}
	switch {
	case open && asked != "":
		return asked
	case len(s.Hosts) > 0 && s.Hosts[0] != "":
		return s.Hosts[0]
	default:
		return "localhost"
	}
}

func (s *Internal) leaf(name string, now time.Time) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.made[name]; c != nil && now.Before(c.Leaf.NotAfter.Add(-leafLife/3)) {
		return c, nil
	}
	c, err := s.Authority.issue(name, now)
	if err != nil {
		return nil, err
	}
	if s.made == nil || len(s.made) >= mostMade {
		s.made = map[string]*tls.Certificate{}
	}
	s.made[name] = c
	return c, nil
}

// Check implements Source: there is nothing to find once the authority is open.
func (s *Internal) Check([]string) []Finding { return nil }

// Close implements Source.
func (s *Internal) Close() {}
