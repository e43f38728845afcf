package flow

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// Conn is one client connection.
type Conn struct {
	net.Conn                // the stream to read and write: the socket, or TLS over it
	Socket   *net.TCPConn   // the socket beneath, where splice and raw reads are possible; nil otherwise
	ID       uint64         // counts up over the life of the process
	Client   netip.AddrPort // who the client is: the peer, or what a PROXY header said
	Peer     netip.AddrPort // the other end of the socket
	Local    netip.AddrPort // our end (or the PROXY header's destination)
	TLS      *TLS           // nil in clear
	Hello    *Hello         // what a peeked ClientHello said, nil before or without
	Told     *Told          // what a PROXY header said, nil without
	StartTLS StartTLS       // by what clients ask for TLS here
	Asked    bool           // the client has done so
	Accepted time.Time      // with monotonic clock
	Source   *Source        // what serves this connection's socket now
	Ended    *atomic.Bool   // set when the connection is over; may be nil
	Active   *atomic.Int64  // connections open on the same socket, this one included; may be nil
	// Parks tells that whoever called ServeConn goes on with what Park was
	// given, in a new goroutine.
	Parks bool
	// Early is what one codec read of the stream before it found that it is
	// another one's (an HTTP/2 preface); that one takes it first.
	Early []byte
	// Caught is told of a panic that a codec kept from ending the connection,
	// with its stack, in the goroutine of the exchange; nil: nobody is.
	Caught func(p any, stack []byte)
	next   func()
	state  atomic.Int32
	bound  atomic.Pointer[Binding]
	drain  atomic.Pointer[func()]
}

// Hello is what a ClientHello asks for, read without touching the stream.
type Hello struct {
	ServerName string   // lower case; "" if absent
	ALPN       []string // in the client's order
	Versions   []uint16
}

// Source holds the binding that a socket serves now; a reload stores a new one.
type Source = atomic.Pointer[Binding]

// Binding is what one generation of the configuration makes of a socket.
type Binding struct {
	Server     Server     // for exchanges
	Streams    ConnServer // for connections, if this socket passes streams
	Generation *Generation
	Limits     Limits
	// Proxy has PROXY headers read off; nil: there are none.
	Proxy *ProxyFrom
	// StartTLS has clients ask for TLS before it begins.
	StartTLS StartTLS
	// TLS terminates TLS on the socket's connections; nil: they are in clear.
	TLS *tls.Config
	// Packets is what a UDP socket needs beside it; nil on others.
	Packets *Packets
	// Draining asks codecs to end each connection after the exchange in
	// progress (Connection: close, GOAWAY).
	Draining bool
}

// Limits bound what a client can cost before its site is known.
type Limits struct {
	HeadBytes int           // request line and header together; also trailers
	Fields    int           // header fields
	Header    time.Duration // from the first byte of a head to its last
	Idle      time.Duration // between two exchanges
	Stall     time.Duration // without progress of a body, either way
	Drain     time.Duration // how long an unread request body is drained after an early answer
	First     time.Duration // from accept to the first byte (0: as Header)
	Handshake time.Duration // from accept to the end of a TLS handshake (0: 5 seconds)
	Streams   int           // of an HTTP/2 connection, open at a time (0: 100)
	Window    int           // bytes of a request's body on an HTTP/2 stream that wait (0: 64 KiB)
}

// DefaultLimits are in force where the configuration says nothing.
var DefaultLimits = Limits{
	HeadBytes: 32 << 10, Fields: 100,
	Header: 10 * time.Second, Idle: 60 * time.Second, Stall: 30 * time.Second, Drain: 5 * time.Second,
}

// Pin gives the binding in force, holding its generation until the next Pin or
// Unpin. It costs one pointer comparison while no reload happened.
func (c *Conn) Pin() *Binding {
	b := c.Source.Load()
	if b == c.bound.Load() {
		return b
	}
	for !b.Generation.Acquire() { // retired between Load and Acquire: a newer one is there
		b = c.Source.Load()
	}
	c.Unpin()
	c.bound.Store(b)
	return b
}

// Bound gives the pinned binding, nil before Pin. It may be called from any goroutine.
func (c *Conn) Bound() *Binding { return c.bound.Load() }

// Unpin lets go of the generation.
func (c *Conn) Unpin() {
	if b := c.bound.Load(); b != nil {
		c.bound.Store(nil)
		b.Generation.Release()
	}
}

// Lend makes to the connection as one of several exchanges on it sees it, which has
// a generation of its own: it is pinned and unpinned apart.
func (c *Conn) Lend(to *Conn) {
	to.Conn, to.ID, to.Client, to.Peer, to.Local, to.Accepted = c.Conn, c.ID, c.Client, c.Peer, c.Local, c.Accepted
	to.TLS, to.Hello, to.Told = c.TLS, c.Hello, c.Told
	to.Source, to.Active, to.Ended = c.Source, c.Active, c.Ended
}

// Forget lets go of what Lend has filled in, for another use.
func (c *Conn) Forget() {
	c.Conn, c.TLS, c.Hello, c.Told, c.Source, c.Active, c.Ended = nil, nil, nil, nil, nil, nil, nil
}

// Park has ServeConn's caller call next in a new goroutine once ServeConn has
// returned, instead of closing the connection. An exchange makes a goroutine's
// stack grow fourfold and more; a connection that waits for long does so in a
// goroutine that has not served yet.
func (c *Conn) Park(next func()) { c.next = next }

// Unpark gives what Park was given, once; nil if the connection is done.
func (c *Conn) Unpark() func() {
	next := c.next
	c.next = nil
	return next
}

// States of a connection, for draining: an idle one may be closed from outside,
// a busy one ends by itself.
const (
	stateIdle int32 = iota
	stateBusy
	stateClosed
)

// Busy marks the start of an exchange; false means that a drain has closed the
// connection first.
func (c *Conn) Busy() bool { return c.state.CompareAndSwap(stateIdle, stateBusy) }

// Idle marks the end of an exchange.
func (c *Conn) Idle() { c.state.CompareAndSwap(stateBusy, stateIdle) }

// Resting reports whether no exchange is going on; it may be asked from any
// goroutine.
func (c *Conn) Resting() bool { return c.state.Load() == stateIdle }

// OnDrain has f called, perhaps more than once and from another goroutine,
// instead of the connection being closed by CloseIfIdle: for codecs that say
// goodbye first. f must not wait. nil takes it back.
func (c *Conn) OnDrain(f func()) {
	if f == nil {
		c.drain.Store(nil)
		return
	}
	c.drain.Store(&f)
}

// Many reports whether the codec serves several exchanges at a time, and says goodbye
// before it ends.
func (c *Conn) Many() bool { return c.drain.Load() != nil }

// Farewell has a codec that says goodbye do so, and the connection end when what is
// in progress has; others end with their next exchange.
func (c *Conn) Farewell() {
	if f := c.drain.Load(); f != nil {
		(*f)()
	}
}

// CloseIfIdle closes the connection unless an exchange is going on.
func (c *Conn) CloseIfIdle() bool {
	if f := c.drain.Load(); f != nil {
		(*f)()
		return false
	}
	if !c.state.CompareAndSwap(stateIdle, stateClosed) {
		return false
	}
	_ = c.Close()
	return true
}

// Generation counts who still uses one loaded configuration.
type Generation struct {
	Number uint64
	refs   atomic.Int64
	done   chan struct{}
}

// NewGeneration gives a generation held once, by its maker.
func NewGeneration(n uint64) *Generation {
	g := &Generation{Number: n, done: make(chan struct{})}
	g.refs.Store(1)
	return g
}

// Acquire holds the generation; false if it has ended.
func (g *Generation) Acquire() bool {
	for {
		n := g.refs.Load()
		if n <= 0 {
			return false
		}
		if g.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release lets go; the last one ends the generation.
func (g *Generation) Release() {
	if g.refs.Add(-1) == 0 {
		close(g.done)
	}
}

// Done is closed when nobody holds the generation any more.
func (g *Generation) Done() <-chan struct{} { return g.done }

// Holders tells how many hold it, for reports.
func (g *Generation) Holders() int64 { return g.refs.Load() }
