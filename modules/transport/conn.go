package transport

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
)

// conn is one connection to a server. It belongs to one exchange at a time.
type conn struct {
	net.Conn
	raw       syscall.RawConn
	step      func(uintptr) bool
	look      func(uintptr)
	silent    bool // what look saw
	one       [1]byte
	idle      *Idle
	idleSince int64
	idleFor   int64
	deadline  int64    // of reads, as set
	written   int64    // over the connection's life
	used      bool     // it has carried an exchange before
	under     *counted // nil in clear: what TLS writes
	label
	deserted atomic.Bool  // the client of the exchange at hand has left
	ended    *atomic.Bool // the client that it was made for, and for no other, has gone; nil: for any

	// Of the exchange at hand.
	*work
}

// work is what a connection needs only while it carries an exchange.
type work struct {
	out     []byte // the head
	view    []byte // body bytes that go with it
	sent    bool
	rest    int   // of out and view, not taken by the socket
	short   bool  // the server stopped reading before the request's end
	torn    bool  // a write was told of a reset; see seen
	left    int64 // of a request body with a length, to be written
	stall   time.Duration
	buf     []byte
	r, w    int
	scanned int
	err     error
	hd      wire.Head
	body    body
	pump    *pump
	x       *flow.Exchange // to be told when its client leaves
	flight  flow.Flight    // nil: nobody wants to end the exchange from outside
}

const (
	readBuffer = 16 << 10 // an answer's head and a small body
	outBuffer  = 4 << 10  // a request's head
)

var works = sync.Pool{New: func() any {
	return &work{buf: make([]byte, readBuffer), out: make([]byte, 0, outBuffer)}
}}

// open makes a connection usable.
func open(nc net.Conn, idle *Idle, idleFor time.Duration) *conn {
	c := &conn{Conn: nc, raw: sock.Raw(nc), idle: idle, idleFor: int64(idleFor)}
	c.step = c.ready
	c.secured()
	c.look = func(fd uintptr) { c.silent = sock.Quiet(fd, c.one[:]) }
	return c
}

// quiet reports whether nothing has come in while the connection was idle.
func (c *conn) quiet() bool {
	c.silent = false
	return c.raw.Control(c.look) == nil && c.silent
}

// begin borrows what an exchange needs.
func (c *conn) begin() {
	w := works.Get().(*work)
	w.sent, w.short, w.torn, w.rest, w.r, w.w, w.scanned, w.err, w.view, w.pump = false, false, false, 0, 0, 0, 0, nil, nil, nil
	c.work = w
}

// land says that closing the connection would not end the exchange any more.
func (w *work) land() {
	w.unwatch()
	if w.flight != nil {
		w.flight.Carry(nil)
		w.flight = nil
	}
}

// end gives it back, and the connection with it when it can be used again.
func (c *conn) end(reuse bool) {
	w := c.work
	if w == nil {
		return
	}
	w.land()
	reuse = reuse && !c.deserted.Load()
	c.work = nil
	flow.Poison(w.buf)
	if len(w.buf) > readBuffer {
		w.buf = make([]byte, readBuffer)
	}
	w.view = nil
	works.Put(w)
	c.used = true
	c.idleSince = flow.Now()
	if !reuse || !c.idle.put(c) {
		_ = c.Close()
	}
}

var errClosed = errors.New("connection closed by the server")

// await sends what is to be sent and reads until a whole head is in the buffer.
// It runs in the callback of RawConn.Read: the poller's state is reset before
// the request leaves, so nothing that comes after it can be missed, and the
// answer is waited for without a read that fails first.
func (c *conn) await() error {
	c.err = nil
	if c.under != nil {
		return c.awaitTLS()
	}
	if err := c.raw.Read(c.step); err != nil {
		return err
	}
	if c.err == nil && c.rest > 0 {
		if c.err = c.writeRest(); c.err == nil {
			c.rest = 0
			return c.await()
		}
	}
	return c.err
}

// ready is the callback; false waits for the poller.
func (c *conn) ready(fd uintptr) bool {
	if !c.sent {
		c.sent = true
		if !c.send(fd) {
			return true
		}
		if !c.short { // else what the server said is there, or its end
			return false
		}
	}
	for {
		if c.w == len(c.buf) && !c.grow() {
			c.err = wire.ErrHeadTooLarge
			return true
		}
		n, err := sock.Read(fd, c.buf[c.w:])
		switch {
		case err == sock.ErrAgain:
			return false
		case err != nil:
			c.err = err
			return true
		case n == 0:
			c.err = errClosed
			return true
		}
		c.w += n
		end, next, err := wire.HeadEnd(c.buf[c.r:c.w], min(c.scanned, c.w-c.r))
		if err != nil || end > 0 {
			c.scanned, c.err = end, err
			return true
		}
		// Half a head: read on until the socket says that it is empty. Its
		// end may have come with the bytes, in one edge of the poller.
		if c.scanned = next; next > headLimit {
			c.err = wire.ErrHeadTooLarge
			return true
		}
	}
}

// send writes the head and the body bytes that are at hand; false means that
// some are left, or that it failed (err).
func (c *conn) send(fd uintptr) bool {
	total := len(c.out) + len(c.view)
	var n int
	var err error
	if len(c.view) == 0 {
		n, err = sock.Write(fd, c.out)
	} else {
		n, err = sock.Writev(fd, c.out, c.view)
	}
	c.written += int64(n) // two calls may stand behind Writev, of which only the second failed
	if err != nil && err != sock.ErrAgain {
		c.err = c.unheard(err)
		return c.short
	}
	c.rest = total - n
	return c.rest == 0
}

// writeRest waits for the server to take what is left of head and view.
func (c *conn) writeRest() error {
	done := len(c.out) + len(c.view) - c.rest
	if done < len(c.out) {
		if err := c.writeAll(c.out[done:]); err != nil {
			return c.unheard(err)
		}
		done = len(c.out)
	}
	if err := c.writeAll(c.view[done-len(c.out):]); err != nil {
		return c.unheard(err)
	}
	return c.SetWriteDeadline(time.Time{})
}

// grow makes room for a longer head.
func (c *conn) grow() bool {
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
		return true
	}
	if len(c.buf) > headLimit {
		return false
	}
	bigger := make([]byte, 2*len(c.buf)+1024)
	copy(bigger, c.buf[:c.w])
	c.buf = bigger
	return true
}

// due has reads fail at the moment at, or up to slack later: a busy connection
// then sets a deadline a few times a second, not one an exchange.
func (c *conn) due(at, slack int64) {
	if c.deadline >= at && c.deadline <= at+slack {
		return
	}
	c.deadline = at + slack
	_ = c.SetReadDeadline(flow.Time(c.deadline))
}

// within is due for a timeout from now; 0 is no deadline.
func (c *conn) within(d time.Duration) {
	if d <= 0 {
		if c.deadline != 0 {
			c.deadline = 0
			_ = c.SetReadDeadline(time.Time{})
		}
		return
	}
	slack := min(int64(d)/16, int64(200*time.Millisecond))
	c.due(flow.Now()+int64(d), slack)
}
