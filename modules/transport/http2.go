package transport

import (
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// HTTP carries exchanges over the protocol that each server of a pool speaks.
type HTTP struct {
	h1 *HTTP1
}

// New makes the transport of a pool; idle gives the set of a key.
func New(servers []*upstream.Server, idle func(Key) *Idle) *HTTP {
	return &HTTP{h1: NewHTTP1(servers, idle)}
}

// Idle gives the connections to a server that are open without an exchange, or
// that exchanges share.
func (t *HTTP) Idle(s *upstream.Server) *Idle { return t.h1.Idle(s) }

// RoundTrip implements Transport.
func (t *HTTP) RoundTrip(x *flow.Exchange, s *upstream.Server) *flow.Error {
	switch s.Protocol {
	case upstream.H1:
		return t.h1.RoundTrip(x, s)
	case upstream.H3:
		return t.quic(x, s)
	case upstream.Auto:
		// A request to switch protocols is HTTP/1's own; the server speaks that
		// as well.
		if len(x.Req.Upgrade) > 0 || t.Idle(s).speaksH1() {
			return t.h1.RoundTrip(x, s)
		}
	}
	return t.shared(x, s)
}

// again is how often a request is sent again by the transport itself: once for a
// connection that was found dead, once for one that is going away.
const again = 2

// shared carries an exchange over an HTTP/2 connection. What no server has begun
// to see, or may see twice, is sent again when the connection breaks or says that
// it will not be served (GOAWAY, RFC 9113 §6.8).
func (t *HTTP) shared(x *flow.Exchange, s *upstream.Server) *flow.Error {
	for try := 0; ; try++ {
		st, fault := t.stream(x, s)
		if fault != nil {
			return fault
		}
		if st == nil {
			return t.h1.RoundTrip(x, s) // so it was agreed
		}
		x.Record.Fresh = st.id == 1
		if x.Record.Fresh || x.Record.Timings.Connected == 0 {
			x.Record.Timings.Connected = flow.Now()
		}
		if fault = st.exchange(x); fault == nil {
			return nil
		}
		if try == again || !fault.Stale || !Rewind(x) {
			return fault
		}
	}
}

// maxTurns bounds how often an exchange finds that others have taken the room of a
// connection that was just made.
const maxTurns = 10

// stream opens a stream on a connection that has room for it, or on a new one. nil
// without a fault: the server has chosen HTTP/1.
func (t *HTTP) stream(x *flow.Exchange, s *upstream.Server) (*stream, *flow.Error) {
	set, who := t.Idle(s), callerOf(x, s)
	for range maxTurns {
		for _, m := range set.mux.all() {
			if m.label != who.label {
				continue
			}
			if st, fault := m.take(x, s); st != nil || fault != nil {
				return st, fault
			}
		}
		m, fault := set.mux.join(who.label, func() (*mux, *flow.Error) { return set.dial(s, &who) })
		if fault != nil {
			return nil, fault
		}
		if m == nil {
			return nil, nil
		}
		if st, fault := m.take(x, s); st != nil || fault != nil {
			return st, fault
		}
	}
	return nil, noStreams()
}
