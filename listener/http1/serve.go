package http1

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
)

// Server serves connections of HTTP/1.0 and HTTP/1.1; it is a flow.ConnServer.
// What it serves them with is the connection's binding.
type Server struct {
	// HTTP2 takes over connections in clear that begin with its preface (RFC
	// 9113 §3.3); nil: they are refused.
	HTTP2 flow.ConnServer
}

// ServeConn serves exchanges until the connection ends. The caller closes it.
func (s Server) ServeConn(fc *flow.Conn) {
	c := &conn{fc: fc, fd: noFD, http2: s.HTTP2}
	c.limits = fc.Pin().Limits
	if fc.Socket != nil && fc.Conn == any(fc.Socket) {
		c.raw = sock.Raw(fc.Socket)
	}
	c.idleSince = flow.Now()
	c.run()
}

// run serves until the connection is done or has been idle for long enough to
// be parked.
func (c *conn) run() {
	c.parked = false
	defer c.finish()
	for !c.done && !c.parked {
		c.await()
		if c.outline && !c.done {
			c.outline = false
			c.exchange()
		}
		if c.tunnel != nil {
			c.runTunnel()
		}
	}
}

// conn is one client connection.
type conn struct {
	fc     *flow.Conn
	raw    syscall.RawConn // nil: the stream is no plain socket (TLS)
	fd     uintptr         // inside the callback: the descriptor
	step   func(uintptr) bool
	limits flow.Limits
	one    [1]byte
	s      *session // nil while idle

	served    int   // exchanges
	deadline  int64 // of reads, as set; 0: none
	writeBy   int64 // of writes, at the least
	idleSince int64
	drained   bool        // the last read left nothing behind
	eof       atomic.Bool // the client sends no more
	outline   bool        // a parsed request waits to be served outside the callback
	done      bool
	broken    bool // it must not end cleanly
	serving   bool // an exchange is being served
	parked    bool // goes on in a goroutine with a small stack
	linger    bool // unread bytes may be on their way: close with care
	tunnel    func(flow.Stream, []byte)
	http2     flow.ConnServer
	handover  bool // http2 goes on
}

const noFD = ^uintptr(0)

// peek is how long an idle connection waits before it looks, once, whether the
// client has closed its side together with its last request (one edge for both),
// and is parked (see flow.Conn.Park). Busy connections come back sooner; those
// that do not pay some microseconds for kilobytes.
const peek = int64(50 * time.Millisecond)

// await reads and serves inline until the connection is done or an exchange
// must be served outline.
func (c *conn) await() {
	if c.raw == nil {
		for c.advance() && !c.done && !c.parked {
			c.readBlocking()
		}
		return
	}
	if c.step == nil {
		c.step = c.ready
	}
	c.drained = false
	for !c.done && !c.outline && !c.parked && c.tunnel == nil {
		err := c.raw.Read(c.step)
		c.fd = noFD
		if err != nil {
			c.readFailed(err)
		}
	}
}

// ready runs inside the callback of RawConn.Read; false waits for the poller.
func (c *conn) ready(fd uintptr) bool {
	c.fd = fd
	for {
		if !c.advance() || c.done {
			return true
		}
		// Half a request: read on until the socket says that it is empty. The
		// client's end may have come with the bytes, in one edge.
		if c.drained && c.s.w == c.s.r {
			c.drained = false
			c.waiting()
			return false
		}
		s := c.borrow()
		n, err := sock.Read(fd, s.buf[s.w:])
		switch {
		case err == sock.ErrAgain:
			c.waiting()
			return false
		case err != nil:
			c.readFailed(err)
			return true
		case n == 0:
			c.readEOF()
			return true
		}
		// On the first exchange the connection's end is looked for at
		// once: one-shot clients close together with their request.
		c.drained = n < len(s.buf)-s.w && c.served > 0
		c.received(n)
	}
}

// readBlocking is the same for streams that are no plain socket.
func (c *conn) readBlocking() {
	c.waiting()
	var n int
	var err error
	if c.s == nil { // idle: without buffers until the first byte
		if n, err = c.fc.Read(c.one[:]); n > 0 {
			s := c.borrow()
			s.buf[s.w] = c.one[0]
		}
	} else {
		s := c.borrow()
		n, err = c.fc.Read(s.buf[s.w:])
	}
	if n > 0 {
		c.received(n)
		return
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.readFailed(err)
	} else {
		c.readEOF()
	}
}

// received takes note of n more bytes.
func (c *conn) received(n int) {
	s := c.s
	if s.r == s.w {
		now := time.Now()
		s.firstAt, s.first = now, flow.At(now)
	}
	s.w += n
	s.in += int64(n)
}

// waiting sets the deadline of what is waited for, and gives the buffers back
// when that is a next request. Deadlines have slack, so that a busy connection
// sets one a second, not one an exchange.
func (c *conn) waiting() {
	if c.s != nil && c.s.w > c.s.r {
		c.due(c.s.first+int64(c.limits.Header), int64(100*time.Millisecond))
		return
	}
	c.giveBack()
	now := flow.Now()
	switch {
	case c.served == 0:
		c.due(c.idleSince+c.patience(), int64(100*time.Millisecond))
	case now-c.idleSince < peek:
		c.due(min(now+peek, c.idleSince+c.patience()), 2*peek)
	default:
		c.due(c.idleSince+c.patience(), int64(time.Second))
	}
}

// patience is how long the next request, or the first one, may take to begin.
func (c *conn) patience() int64 {
	switch {
	case c.served > 0:
		return int64(c.limits.Idle)
	case c.limits.First > 0:
		return int64(c.limits.First)
	default:
		return int64(c.limits.Header)
	}
}

// due has reads fail at the moment at, or up to slack later.
func (c *conn) due(at, slack int64) {
	if c.deadline >= at && c.deadline <= at+slack {
		return
	}
	c.deadline = at + slack
	_ = c.fc.SetReadDeadline(flow.Time(c.deadline))
}

// readFailed handles a deadline or a broken connection.
func (c *conn) readFailed(err error) {
	c.deadline = 0
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.readEOF()
		return
	}
	if c.s != nil && c.s.w > c.s.r {
		if flow.Now() < c.s.first+int64(c.limits.Header) {
			// The deadline was that of the wait before: requests that came
			// together are served without another one being set.
			_ = c.fc.SetReadDeadline(time.Time{})
			return
		}
		c.refuse(&flow.Error{Side: flow.SideClient, Phase: flow.PhaseRequest, Timeout: true, Cause: "request header timeout"})
		return
	}
	switch now := flow.Now(); {
	case now-c.idleSince < c.patience():
		// The look after peek: the callback reads once more. The next
		// wait is for the rest of the idle time.
		_ = c.fc.SetReadDeadline(time.Time{})
		c.parked = c.fc.Parks
	case c.served == 0:
		c.refuse(&flow.Error{Side: flow.SideClient, Phase: flow.PhaseRequest, Timeout: true, Cause: "no request came"})
	default:
		c.done = true
	}
}

// readEOF handles the end of what the client sends.
func (c *conn) readEOF() {
	c.eof.Store(true)
	if c.s != nil && c.s.w > c.s.r {
		c.refuse(&flow.Error{Side: flow.SideClient, Phase: flow.PhaseRequest, Status: 400, Cause: "client left inside a request"})
	}
	c.done = true
}

// finish lets go of everything; ServeConn's caller closes the connection.
func (c *conn) finish() {
	if c.parked {
		c.fc.Park(c.run)
		return
	}
	if c.serving { // a panic is on its way up
		c.panicked()
	}
	if c.handover {
		c.fc.Early = append([]byte(nil), c.s.buf[c.s.r:c.s.w]...)
	}
	if c.s != nil {
		c.s.r, c.s.w = 0, 0
		c.giveBack()
	}
	if c.linger && !c.broken && !c.eof.Load() {
		c.lingerClose()
	}
	c.fc.Unpin()
	if c.handover {
		_ = c.fc.SetReadDeadline(time.Time{})
		c.handOver()
	}
}

// handOver has the HTTP/2 codec go on, in a goroutine whose stack is small.
func (c *conn) handOver() {
	fc, next := c.fc, c.http2
	if !fc.Parks {
		next.ServeConn(fc)
		return
	}
	fc.Park(func() { next.ServeConn(fc) })
}

// lingerClose ends our side and waits a little for the client to end its own:
// closing with unread bytes would reset the connection, and the client could
// lose the answer that was just sent (RFC 9112 §9.6).
func (c *conn) lingerClose() {
	half, ok := c.fc.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.fc.SetReadDeadline(time.Now().Add(min(c.limits.Drain, 2*time.Second)))
	buf := bodyBuffers.Get().(*[bodyBuffer]byte)
	defer bodyBuffers.Put(buf)
	for left := lingerFast; ; {
		n, err := c.fc.Read(buf[:])
		if err != nil {
			return
		}
		if left -= n; left < 0 { // a client that pours must not keep us busy
			time.Sleep(lingerPause)
		}
	}
}

// What comes while a connection lingers is read fast at first, then in small
// sips: closing for its amount would reset a fast client before it has read.
const (
	lingerFast  = 1 << 20
	lingerPause = 10 * time.Millisecond
)
