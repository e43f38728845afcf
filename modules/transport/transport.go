// Package transport carries exchanges to servers: it finds or makes a
// connection, sends the request, and reads the head of the answer. What it
// does not do is choose the server, try again or relay the answer: that is the
// proxy handler's.
package transport

import (
	"net"
	"net/netip"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Transport carries exchanges to servers.
type Transport interface {
	// RoundTrip sends x's request to s and fills in the head of x.Resp and
	// its Body, which the caller closes. When it fails nothing of an answer
	// was taken; the error tells whether the server can have begun to see
	// the request (Begun).
	RoundTrip(x *flow.Exchange, s *upstream.Server) *flow.Error
}

// Limits of what servers send.
const (
	headLimit   = 32 << 10 // bytes of an answer's head
	fieldLimit  = 200      // fields of an answer
	maxInterim  = 8        // interim answers passed on before the final one
	expectLimit = time.Second
)

// Key names what idle connections have in common: they serve any exchange with
// the same key, of whatever generation.
type Key struct {
	Network, Address string
	Source           netip.Addr
	Protocol         upstream.Protocol
	TLS              string // its settings, "" in clear
}

// KeyOf gives the key of a server.
func KeyOf(s *upstream.Server) Key {
	k := Key{Network: s.Network, Address: s.Dial, Source: s.Source, Protocol: s.Protocol}
	if s.TLS != nil {
		k.TLS = s.TLS.Key
	}
	return k
}

// Dial connects to a server within its connect timeout, by TLS where the server
// wants it.
func Dial(s *upstream.Server) (net.Conn, *flow.Error) { return dialNamed(s, "") }

// connect makes the connection itself.
func connect(s *upstream.Server) (net.Conn, *flow.Error) {
	d := net.Dialer{Timeout: s.Timeouts.Connect, KeepAlive: 30 * time.Second}
	if s.Source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: s.Source.AsSlice()}
	}
	c, err := d.Dial(s.Network, s.Dial)
	if err != nil {
		ne, ok := err.(net.Error)
		return nil, &flow.Error{
			Side: flow.SideServer, Phase: flow.PhaseConnect,
			Timeout: ok && ne.Timeout(), Cause: "connect failed", Err: err,
		}
	}
	return c, nil
}
