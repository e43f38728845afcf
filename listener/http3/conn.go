package http3

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// codeNone ends what is no fault.
const codeNone = wire.CodeNone

// conn is one client connection.
type conn struct {
	fc     *flow.Conn
	q      *quic.Conn
	ctx    context.Context // ends with the connection
	tls    atomic.Pointer[flow.TLS]
	shaken atomic.Bool // the handshake is complete
	budget multi.Budget
	wakeup chan struct{}
	asleep atomic.Bool // whoever minds the connection does so seldom

	draining atomic.Bool // so the drain has said

	// Of the goroutine that accepts streams:
	remote net.Addr // where the client was last seen
	client netip.AddrPort

	mu        sync.Mutex
	control   *quic.SendStream
	open      []*stream
	running   int
	held      int // bytes of the heads of streams being served
	next      uint64
	served    bool
	idleSince int64
	away      int // steps of the goodbye
	awayAt    int64
	workers   multi.Workers[stream]
}

// ServeConn serves exchanges until the connection ends. The caller closes it.
func (Server) ServeConn(fc *flow.Conn) {
	qc, ok := fc.Conn.(*Conn)
	if !ok {
		return
	}
	now := flow.Now()
	c := &conn{
		fc: fc, q: qc.q, ctx: qc.q.Context(), wakeup: make(chan struct{}, 1), idleSince: now,
		remote: qc.q.RemoteAddr(), client: fc.Client,
	}
	c.workers.Begin(&c.mu, maxStreams, c.serve, c.keeps)
	c.budget.Begin(now)
	limits := fc.Pin().Limits
	fc.Unpin() // each exchange holds the generation that serves it
	if !c.shake(qc) {
		return
	}
	fc.OnDrain(func() {
		if !c.draining.Swap(true) {
			c.wake()
		}
	})
	if c.greet(&limits) {
		c.workers.All.Add(2)
		go c.mind()
		go c.unidirectional()
		c.accept()
	}
	c.finish()
}

// shake waits for the handshake, unless the client sends early data that the
// configuration allows; false: there will be none.
func (c *conn) shake(qc *Conn) bool {
	if a, ok := c.ctx.Value(attemptKey{}).(*attempt); ok {
		defer a.settle()
	}
	early := c.fc.Source.Load().Packets
	if early != nil && early.EarlyData && c.q.ConnectionState().Used0RTT {
		c.tls.Store(c.facts())
		c.fc.TLS = c.tls.Load()
		c.workers.All.Add(1)
		go func() {
			defer c.workers.All.Done()
			select {
			case <-c.q.HandshakeComplete():
				c.tls.Store(c.facts())
				c.shaken.Store(true)
			case <-c.ctx.Done():
			}
		}()
		return true
	}
	select {
	case <-c.q.HandshakeComplete():
	case <-c.ctx.Done():
		qc.refused = context.Cause(c.ctx)
		return false
	}
	c.tls.Store(c.facts())
	c.fc.TLS = c.tls.Load()
	c.shaken.Store(true)
	return true
}

// facts tells what the handshake has agreed on so far.
func (c *conn) facts() *flow.TLS {
	state := c.q.ConnectionState().TLS
	t := &flow.TLS{}
	if noted := flow.TLSFrom(c.ctx); noted != nil {
		*t = *noted
	}
	t.ALPN, t.Version, t.Cipher, t.Resumed = state.NegotiatedProtocol, state.Version, state.CipherSuite, state.DidResume
	if len(state.PeerCertificates) > 0 {
		t.Client = flow.ClientFacts(state.PeerCertificates[0])
	}
	return t
}

// accept takes streams until the connection ends.
func (c *conn) accept() {
	for {
		q, err := c.q.AcceptStream(c.ctx)
		if err != nil {
			return
		}
		if s := c.admit(q); s != nil {
			c.dispatch(s)
		}
	}
}

// headBudget bounds the bytes of heads that streams in progress hold.
const headBudget = 256 << 10

// admit makes a stream of one that the client has opened, nil if it is refused.
func (c *conn) admit(q *quic.Stream) *stream {
	if a := c.q.RemoteAddr(); a != c.remote { // it has moved
		c.remote = a
		if u, ok := a.(*net.UDPAddr); ok {
			ap := u.AddrPort()
			c.client = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := uint64(q.StreamID())
	refuse := c.held > headBudget || c.away > 1
	if !refuse && c.running == 0 && !c.fc.Busy() { // a drain was faster
		refuse = true
	}
	if refuse {
		q.CancelRead(quic.StreamErrorCode(wire.CodeRejected))
		q.CancelWrite(quic.StreamErrorCode(wire.CodeRejected))
		q.ReleaseStreamCredit()
		go c.charge(multi.CostReset) // it may close, which waits
		return nil
	}
	c.next = max(c.next, id+4)
	s := c.newStream(q)
	s.at = len(c.open)
	c.open = append(c.open, s)
	c.running++
	c.served = true
	return s
}

// charge spends of the client's budget, or ends the connection.
func (c *conn) charge(n int64) bool {
	if c.budget.Spend(n) {
		return true
	}
	c.abandon(wire.CodeLoad)
	return false
}

// abandon ends the connection with an error.
func (c *conn) abandon(e wire.Code) {
	_ = c.q.CloseWithError(quic.ApplicationErrorCode(e), "")
}

// wake has the goroutine that minds the connection look around.
func (c *conn) wake() {
	select {
	case c.wakeup <- struct{}{}:
	default:
	}
}

// finish waits for what is still served, and lets go of everything.
func (c *conn) finish() {
	_ = c.q.CloseWithError(quic.ApplicationErrorCode(codeNone), "")
	c.workers.Dismiss()
	c.workers.All.Wait()
	c.fc.OnDrain(nil)
	c.fc.Idle()
}
