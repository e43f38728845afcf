// Package transport carries exchanges to servers: it finds or makes a
// connection, sends the request, and reads the head of the answer. What it
// does not do is choose the server, try again or relay the answer: that is the
// proxy handler's.
package transport

import (
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
	Caller           string // what the server is told of clients, "" if nothing
}

// KeyOf gives the key of a server.
func KeyOf(s *upstream.Server) Key {
	k := Key{Network: s.Network, Address: s.Dial, Source: s.Source, Protocol: s.Protocol}
	if s.TLS != nil {
		k.TLS = s.TLS.Key
	}
	if s.Proxy != nil {
		k.Caller = s.Proxy.String()
	}
	if s.AsClient {
		k.Caller += " as client"
	}
	return k
}
