package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
)

// Settings of a site's handshakes.
type Settings struct {
	MinVersion uint16
	Ciphers    []uint16 // of TLS 1.2; nil: all that are safe
	Curves     []tls.CurveID
	Auth       tls.ClientAuthType
	Clients    *Clients // nil without client authentication
	Tickets    *Tickets // nil: no session is resumed
	Protocols  []string // for ALPN over TCP, the preferred one first
	HTTP3      bool     // QUIC's handshakes are held, too
	EarlyData  bool     // of HTTP/3: 0-RTT
	// Certificates and Trust name where certificates and client authorities come
	// from: policies that agree in everything named here are the same.
	Certificates, Trust string
}

// Policy is what a site wants of handshakes, ready to be used. It is not changed;
// the configuration it gives follows certificates, authorities and ticket keys.
type Policy struct {
	// ID is equal for policies that are the same, Auth for those that let the same
	// clients in by the same means, over reloads, too.
	ID, Auth uint64

	settings Settings
	base     *tls.Config
	identity []byte
	mu       sync.Mutex
	served   atomic.Pointer[served]
}

// served is a configuration with what it was made of.
type served struct {
	config *tls.Config
	quic   *tls.Config // nil without HTTP/3
	trust  *trust
	period int64
}

// NewPolicy makes a policy of settings and a source.
func NewPolicy(s Settings, from Source) *Policy {
	auth := fmt.Sprintf("%d %d %v %v %s", s.Auth, s.MinVersion, s.Ciphers, s.Curves, s.Trust)
	all := fmt.Sprintf("%s\n%v %t %t\n%s", auth, s.Protocols, s.HTTP3, s.EarlyData, s.Certificates)
	p := &Policy{settings: s, ID: number(all), Auth: number(auth), identity: []byte(all)}
	p.base = &tls.Config{
		GetCertificate: from.Certificate, MinVersion: s.MinVersion, CipherSuites: s.Ciphers, CurvePreferences: s.Curves,
		ClientAuth: s.Auth, NextProtos: s.Protocols, SessionTicketsDisabled: s.Tickets == nil,
		// Small records first, as crypto/tls has them by default, cost a system
		// call each; what is won is a round trip on the slowest links only.
		DynamicRecordSizingDisabled: true,
	}
	return p
}

func number(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:])
}

// Config gives the configuration for a handshake that begins now.
func (p *Policy) Config() *tls.Config { return p.current().config }

// QUIC is Config for HTTP/3; nil: it is not spoken. Certificates, authorities and
// ticket keys are the same ones.
func (p *Policy) QUIC() *tls.Config { return p.current().quic }

// HTTP3 reports whether QUIC gives anything.
func (p *Policy) HTTP3() bool { return p.settings.HTTP3 }

// EarlyData reports whether requests may come before the handshake is complete.
func (p *Policy) EarlyData() bool { return p.settings.EarlyData }

func (p *Policy) current() *served {
	t, period := p.now()
	if s := p.served.Load(); s != nil && s.trust == t && s.period == period {
		return s
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t, period = p.now()
	if s := p.served.Load(); s != nil && s.trust == t && s.period == period {
		return s
	}
	s := &served{config: p.base.Clone(), trust: t, period: period}
	id := p.identity
	if t != nil {
		s.config.ClientCAs, s.config.VerifyConnection = t.pool, t.verify
		id = append(id[:len(id):len(id)], t.digest[:]...) // who else is trusted now gets no session of before
	}
	if p.settings.Tickets != nil {
		var keys [][32]byte
		keys, s.period = p.settings.Tickets.Keys(id)
		s.config.SetSessionTicketKeys(keys)
	}
	if p.settings.HTTP3 {
		s.quic = quicConfig(s.config, p.settings.EarlyData)
	}
	p.served.Store(s)
	return s
}

func (p *Policy) now() (t *trust, period int64) {
	if p.settings.Clients != nil {
		t = p.settings.Clients.state.Load()
	}
	if p.settings.Tickets != nil {
		period = p.settings.Tickets.Period()
	}
	return t, period
}

// quicConfig gives the settings of QUIC's handshakes, which are always TLS 1.3
// (RFC 9001 §4.2).
func quicConfig(from *tls.Config, early bool) *tls.Config {
	c := from.Clone()
	c.NextProtos, c.MinVersion = []string{"h3"}, tls.VersionTLS13
	if !early {
		// Another site of the socket may want early data: no ticket of this one
		// opens it.
		c.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
			ss.EarlyData = false
			return from.EncryptTicket(cs, ss)
		}
		c.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
			return from.DecryptTicket(identity, cs)
		}
	}
	return c
}
