package transport

import (
	"errors"
	"os"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// HTTP1 carries exchanges over HTTP/1.1, in clear or by TLS, over pooled connections.
type HTTP1 struct {
	idle []*Idle // by server index
}

// NewHTTP1 makes the transport of a pool; idle gives the set of a key.
func NewHTTP1(servers []*upstream.Server, idle func(Key) *Idle) *HTTP1 {
	t := &HTTP1{idle: make([]*Idle, len(servers))}
	for i, s := range servers {
		t.idle[i] = idle(KeyOf(s))
	}
	return t
}

// Idle gives the idle connections of a server.
func (t *HTTP1) Idle(s *upstream.Server) *Idle { return t.idle[s.Index] }

// RoundTrip implements Transport. A request on a connection that was used
// before, and that breaks before any byte of an answer, is sent again on
// another one when that cannot do harm: the method is safe, or the server
// had closed before its kernel got anything of it; see conn.seen.
func (t *HTTP1) RoundTrip(x *flow.Exchange, s *upstream.Server) *flow.Error {
	idle := t.idle[s.Index]
	for {
		c, fault := t.connection(x, s, idle)
		if fault != nil {
			return fault
		}
		fresh := !c.used
		x.Record.Fresh = fresh
		if fresh || x.Record.Timings.Connected == 0 {
			x.Record.Timings.Connected = flow.Now()
		}
		fault = c.exchange(x, s)
		if fault == nil {
			return nil
		}
		if fresh || !fault.Stale || !Rewind(x) {
			return fault
		}
	}
}

// connection takes an idle connection or makes one. The kernel is asked first
// whether the idle one still stands and is quiet: bytes that came in while it
// was idle are the answer to nothing, and must not become the answer to this
// request.
func (t *HTTP1) connection(x *flow.Exchange, s *upstream.Server, idle *Idle) (*conn, *flow.Error) {
	who := callerOf(x, s)
	for {
		c := idle.take(who.label)
		if c == nil {
			break
		}
		if flow.Now()-c.idleSince > c.idleFor || !c.quiet() {
			_ = c.Close()
			continue
		}
		return c, nil
	}
	nc, fault := dialFor(s, &who, nil)
	if fault != nil {
		return nil, fault
	}
	idleFor := s.Timeouts.Idle
	if idleFor <= 0 {
		idleFor = time.Minute
	}
	c := open(nc, idle, idleFor)
	c.made(&who)
	return c, nil
}

// Repeatable reports whether a request may be sent twice (RFC 9110 §9.2.1: the
// safe methods; idempotent ones that change something are left alone).
func Repeatable(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// Rewind readies the request for another try; false if part of its body has
// gone by.
func Rewind(x *flow.Exchange) bool {
	if !x.Req.HasBody() {
		return true
	}
	b, ok := x.Req.Body.(interface{ Rewind() bool })
	return ok && b.Rewind()
}

// exchange sends the request and reads the head of the final answer.
func (c *conn) exchange(x *flow.Exchange, s *upstream.Server) *flow.Error {
	c.begin()
	c.watch(x)
	if c.flight = x.Flight; c.flight != nil {
		c.flight.Carry(c.Conn)
	}
	before := c.written
	c.out = wire.AppendRequest(c.out[:0], &x.Req, s.Dial)
	if err := c.sendBody(x, &s.Timeouts); err != nil {
		return c.failed(x, err, before)
	}
	for interim := 0; ; interim++ {
		err := c.head()
		for err != nil && c.pump.unasked(c, err) {
			// The server says nothing, and the client may wait for it to:
			// RFC 9110 §10.1.1 has servers that do not know of Expect.
			if err = nil; x.Req.Expect {
				err = x.Inform(100, nil)
			}
			if err == nil {
				err = c.head()
			}
		}
		if err == nil {
			err = wire.ParseResponse(c.buf[c.r:c.r+c.scanned:c.r+c.scanned], fieldLimit, &x.Resp, &c.hd)
		}
		if err == nil && interim >= maxInterim && x.Resp.Status < 200 {
			err = errInterim
		}
		if err == nil && x.Resp.Status == 101 && (len(x.Req.Upgrade) == 0 || len(c.hd.Upgrade) == 0) {
			err = errSwitch
		}
		if err != nil {
			return c.failed(x, err, before)
		}
		c.r += c.scanned
		if x.Resp.Status >= 200 || x.Resp.Status == 101 {
			break
		}
		// RFC 9110 §15.2: interim answers are passed on; a 100 only to
		// who asked for it and has not had one.
		if x.Resp.Status != 100 || x.Req.Expect {
			if err := x.Inform(x.Resp.Status, &x.Resp.Header); err != nil {
				return c.failed(x, err, before)
			}
		}
	}
	c.answered(x, s)
	return nil
}

var (
	errInterim = &wire.SyntaxError{Status: 502, Reason: "too many interim answers"}
	errSwitch  = &wire.SyntaxError{Status: 502, Reason: "101 that nobody asked for, or to no protocol"}
)

// head has a whole head in the buffer at c.r, c.scanned bytes long.
func (c *conn) head() error {
	c.scanned = 0 // of an interim answer before this one
	if c.w > c.r {
		end, next, err := wire.HeadEnd(c.buf[c.r:c.w], 0)
		if c.scanned = end; err != nil || end > 0 {
			return err
		}
		c.scanned = next
	}
	return c.await()
}

// answered readies the answer's body for the relay.
func (c *conn) answered(x *flow.Exchange, s *upstream.Server) {
	x.Record.Timings.Answer = flow.Now()
	if c.pump != nil {
		c.pump.answered()
		c.deadline = -1
	}
	r := &x.Resp
	b := &c.body
	b.begin(c, x, &s.Timeouts)
	switch b.framing {
	case wire.FrameLength:
		r.ContentLength = c.hd.ContentLength
	case wire.FrameNone:
		r.ContentLength = 0
		if !flow.BodyAllowed(x.Req.Method, r.Status) {
			r.ContentLength = c.hd.ContentLength // may be announced to HEAD
		}
	case wire.FrameChunked, wire.FrameClose:
		r.ContentLength = -1
	}
	r.Upgrade = c.hd.Upgrade
	r.Body = b
}

// seen reports whether the server may have begun to see a request that got no byte of
// an answer, with before the bytes that the connection had sent ahead of it, and acked
// those that were acknowledged when err came.
//
// What the kernel took nothing of was not sent. Of what was sent, only the orderly end
// of the stream is a witness: a FIN carries an acknowledgement of all that the server's
// kernel had by then, and a socket whose owner has closed it reads no more (RFC 9293
// §3.6), so that a request which it does not cover was read by nobody. A reset is none:
// the server may have read the request and then closed with something unread, or with
// SO_LINGER 0, before its kernel had acknowledged anything; and Linux drops the
// acknowledgement that a reset carries. The first call after a reset is told of it, and
// those behind it see an end that looks orderly: hence torn, of writes.
func (c *conn) seen(err error, before, acked int64) bool {
	switch {
	case c.written == before:
		return false
	case c.torn, err != errClosed, acked < 0:
		return true
	}
	return acked > before+1 // the SYN counts
}

// failed turns an error before the answer into one with side and phase, and
// closes the connection.
func (c *conn) failed(x *flow.Exchange, err error, before int64) *flow.Error {
	var fault *flow.Error
	var syntax *wire.SyntaxError
	acked := int64(-1)
	if c.w == 0 {
		acked = sock.Acked(c.raw) // while there is a socket to ask
	}
	pumped, left := c.stopPump(x), c.leftBehind(flow.PhaseHeaders)
	switch {
	case left != nil:
		fault = left
	case pumped != nil:
		fault = pumped
	case errors.As(err, &fault):
	case errors.As(err, &syntax):
		fault = invalidAnswer(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		fault = noAnswer(err)
	default:
		fault = &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "server closed before its answer", Err: err, Begun: true}
		if c.w == 0 {
			fault.Cause, fault.Empty = "empty answer", true
			fault.Begun = c.seen(err, before, acked)
			fault.Stale = c.used && (!fault.Begun || Repeatable(x.Req.Method))
		}
	}
	c.end(false)
	// What was read of an answer dies with the buffer it lies in.
	x.Resp.Status, x.Resp.Reason, x.Resp.ContentLength = 0, nil, -1
	x.Resp.Header.Reset(nil)
	return fault
}
