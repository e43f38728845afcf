package listener

import (
	"crypto/tls"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// connIDs counts connections over the life of the process.
var connIDs atomic.Uint64

// conn is an open connection in its tracker's list.
type conn struct {
	flow.Conn
	socket     *Socket
	local      netip.AddrPort                 // as accepted: Local is the PROXY header's afterwards
	said       atomic.Pointer[netip.AddrPort] // the client that a PROXY header named; nil: none did
	ended      atomic.Bool
	prev, next *conn
}

// begin serves an accepted connection in its own goroutine.
func (s *Socket) begin(nc net.Conn) {
	c := &conn{socket: s}
	c.Conn.Conn = nc
	c.Socket, _ = nc.(*net.TCPConn)
	c.ID = connIDs.Add(1)
	c.Peer, c.Local = addrPort(nc.RemoteAddr()), addrPort(nc.LocalAddr())
	c.Client, c.local = c.Peer, c.Local
	c.Accepted = time.Now()
	c.Source, c.Active, c.Ended = &s.source, &s.active, &c.ended
	b := s.source.Load()
	if s.packets() == nil {
		c.secure(b)
	}
	s.active.Add(1)
	s.open.add(c)
	go c.serve(b)
}

// serve takes off what comes before the protocol, as the binding says that was in
// force when the connection came: a PROXY header, a question for TLS, then TLS.
func (c *conn) serve(b *flow.Binding) {
	told := b.Proxy != nil && b.Proxy.Sends(c.Peer.Addr())
	switch quic := c.socket.packets() != nil; {
	case told && quic: // there is no header for QUIC, and without one nobody knows who it is
		c.refuse("QUIC from who has to send a PROXY header", "peer", c.Peer.String())
		c.close(nil)
		return
	case told, b.StartTLS != flow.NoStartTLS && !quic:
		c.introduce(b, told)
		return
	}
	c.begun()
}

// begun goes on behind what came in clear.
func (c *conn) begun() {
	if t, ok := c.Conn.Conn.(*tls.Conn); ok {
		c.shake(t)
		return
	}
	c.attend()
}

// attend loads what the configuration in force makes of the socket and hands the
// connection over.
func (c *conn) attend() {
	defer func() { c.close(recover()) }()
	if s := c.Pin().Streams; s != nil {
		if some, ok := s.(flow.StreamChooser); !ok || some.Takes(&c.Conn) {
			s.ServeConn(&c.Conn)
			return
		}
	}
	c.Parks, c.Caught = true, c.caught
	if c.socket.packets() != nil {
		c.servePackets()
		return
	}
	host := c.socket.host
	if c.TLS != nil && c.TLS.ALPN == "h2" && host.HTTP2 != nil {
		host.HTTP2.ServeConn(&c.Conn)
		return
	}
	host.Protocol.ServeConn(&c.Conn)
}

// resume goes on with a parked connection (see flow.Conn.Park).
func (c *conn) resume(next func()) {
	defer func() { c.close(recover()) }()
	next()
}

// caught notes a panic that ended one exchange of several on the connection.
func (c *conn) caught(p any, stack []byte) {
	host := c.socket.host
	host.Panics.Add(1)
	host.Log.Error("panic while serving an exchange", "panic", p, "socket", c.socket.Key.String(),
		"client", c.Client.String(), "stack", string(stack))
}

// close ends the connection. A panic ends it and nothing else.
func (c *conn) close(p any) {
	s := c.socket
	if p != nil {
		s.host.Panics.Add(1)
		s.host.Log.Error("panic while serving a connection", "panic", p, "socket", s.Key.String(),
			"client", c.Client.String(), "stack", string(debug.Stack()))
	} else if next := c.Unpark(); next != nil {
		s.host.trim.park()
		go c.resume(next)
		return
	}
	c.Unpin()
	_ = c.Conn.Conn.Close()
	c.ended.Store(true)
	s.open.remove(c)
	s.limit.Leave()
	s.host.Limit.Leave()
	s.active.Add(-1)
	s.checkEnd()
}

func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// shards keep goroutines that open and close connections out of each other's way.
const shards = 16

// tracker knows the open connections of a socket.
type tracker struct{ lists [shards]connList }

type connList struct {
	mu   sync.Mutex
	head *conn
	_    [40]byte // a cache line each
}

func (t *tracker) of(c *conn) *connList { return &t.lists[c.ID%shards] }

func (t *tracker) add(c *conn) {
	l := t.of(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	c.next = l.head
	if l.head != nil {
		l.head.prev = c
	}
	l.head = c
}

func (t *tracker) remove(c *conn) {
	l := t.of(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// each calls f for all open connections. f must not wait.
func (t *tracker) each(f func(*conn)) {
	for i := range t.lists {
		l := &t.lists[i]
		l.mu.Lock()
		for c := l.head; c != nil; c = c.next {
			f(c)
		}
		l.mu.Unlock()
	}
}
