package transport

import (
	"net"
	"net/netip"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// label is what tells apart the connections to one server that must not be taken
// for one another. Connections with equal labels may be shared by exchanges.
type label struct {
	// sni is the name asked for, where that differs by exchange: with another the
	// server might take the request for another site's.
	sni string
	// conn is the client connection that a PROXY header told the server of: the
	// server takes everything on its own connection to come from there.
	conn uint64
	// from is the client whose address the connection comes from (`source client`).
	from netip.Addr
}

// caller is for whom a connection to a server is wanted.
type caller struct {
	label
	client *flow.Conn
	ahead  int // bytes that were sent ahead of the protocol, and of TLS
}

// callerOf tells for whom an exchange wants a connection.
func callerOf(x *flow.Exchange, s *upstream.Server) caller {
	who := caller{label: label{sni: serverName(x, s)}, client: x.Conn}
	if s.Proxy != nil {
		who.conn = x.Conn.ID
	}
	if s.AsClient {
		who.from = x.Conn.Client.Addr().Unmap().WithZone("")
	}
	return who
}

// DialStream connects to a server for a client's stream, within the connect
// timeout: as the client if that is wanted, with a PROXY header and by TLS where
// the server wants them.
func DialStream(s *upstream.Server, client *flow.Conn) (net.Conn, *flow.Error) {
	who := caller{client: client}
	if s.AsClient || s.Proxy != nil || s.TLS != nil && s.TLS.Name != nil {
		// Templates read exchanges; a stream is one that has a connection only.
		x := &flow.Exchange{}
		x.Begin(client, nil)
		who = callerOf(x, s)
	}
	return dialFor(s, &who, nil)
}

// take takes out the connection with that label that was used last.
func (i *Idle) take(l label) *conn {
	if i.count.Load() == 0 {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for n := len(i.conns) - 1; n >= 0; n-- {
		c := i.conns[n]
		if c.label != l {
			continue
		}
		last := len(i.conns) - 1
		copy(i.conns[n:], i.conns[n+1:])
		i.conns[last] = nil
		i.conns = i.conns[:last]
		i.count.Store(int64(last))
		return c
	}
	return nil
}

// made notes for whom a connection was made.
func (c *conn) made(who *caller) {
	c.label = who.label
	if c.under == nil { // else those bytes are counted beneath TLS
		c.written = int64(who.ahead)
	}
	if who.conn != 0 {
		c.ended = who.client.Ended
	}
}

// keptTold is how long an HTTP/2 connection that is one client's is kept idle: nobody
// else will ever use it.
const keptTold = int64(10 * time.Second)

// made notes for whom a connection was made.
func (m *mux) made(who *caller) {
	m.label = who.label
	if m.under == nil {
		m.written = int64(who.ahead)
	}
	if who.conn != 0 {
		m.idleFor = min(m.idleFor, keptTold)
	}
}

// orphaned reports whether the one client that a connection was made for has gone.
func (c *conn) orphaned() bool { return c.ended != nil && c.ended.Load() }
