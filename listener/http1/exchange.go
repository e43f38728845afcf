package http1

import (
	"bytes"
	"errors"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
)

// advance parses and serves what is in the buffer. true asks for more bytes;
// false means that the connection is done or leaves the callback.
func (c *conn) advance() bool {
	for c.s != nil && c.s.w > c.s.r {
		whole, err := c.parse()
		switch {
		case err != nil && c.prefaced():
			c.done, c.handover = true, true
			return false
		case err != nil:
			c.refuse(err)
			return false
		case !whole:
			return true
		case !c.inline():
			c.outline = true
			return false
		}
		c.exchange()
		if c.done || c.tunnel != nil {
			return false
		}
	}
	return true
}

// parse looks for a whole head at s.r and takes it in.
func (c *conn) parse() (whole bool, fault *flow.Error) {
	s := c.s
	if s.scanned == 0 {
		// RFC 9112 §2.2: an empty line before a request is ignored. Two
		// are, for clients that end a body with one of their own.
		for i := 0; i < 2 && s.w-s.r >= 2 && s.buf[s.r] == '\r' && s.buf[s.r+1] == '\n'; i++ {
			s.r += 2
		}
		if s.r == s.w || s.w-s.r == 1 && s.buf[s.r] == '\r' {
			return false, nil
		}
		if c.mistaken() {
			return false, errHello
		}
	}
	head := s.buf[s.r:s.w]
	end, next, err := wire.HeadEnd(head, s.scanned)
	limits := &c.limits
	if err == nil && end == 0 {
		if s.scanned = next; next < limits.HeadBytes {
			return false, nil
		}
	}
	b := c.fc.Pin()
	c.limits = b.Limits
	s.x.Begin(c.fc, c)
	s.answer.begin()
	c.stamp()
	if err == nil && (end == 0 || end > limits.HeadBytes) {
		err = tooLarge(head)
	}
	if err == nil {
		err = wire.ParseRequest(head[:end:end], limits.Fields, &s.x.Req, &s.hd)
	}
	if err != nil {
		return false, syntaxFault(err)
	}
	s.scanned = 0
	s.r += end
	s.body.begin(c, &s.hd, s.x.Req.ContentLength)
	if s.x.Req.ContentLength != 0 {
		s.x.Req.Body = &s.body
	}
	if c.fc.TLS != nil {
		s.x.Req.Scheme = "https"
	}
	return true, nil
}

// prefaced reports whether what is no request of HTTP/1 begins an HTTP/2
// connection. Nothing is asked of connections that speak HTTP/1.
func (c *conn) prefaced() bool {
	s := c.s
	return c.http2 != nil && c.served == 0 && c.fc.TLS == nil && bytes.HasPrefix(s.buf[s.r:s.w], []byte(preface))
}

// preface is what HTTP/2 clients begin with, as far as it looks like a head.
const preface = "PRI * HTTP/2.0\r\n\r\n"

// stamp fills in what the record knows from the start.
func (c *conn) stamp() {
	s := c.s
	r := &s.x.Record
	r.Start, r.Client, r.Local, r.ConnID = s.firstAt, c.fc.Client, c.fc.Local, c.fc.ID
	r.TLS = c.fc.TLS != nil
	r.Timings.Accept = flow.At(c.fc.Accepted)
	r.Timings.FirstByte, r.Timings.Head = s.first, s.first
	if s.scanned > 0 {
		r.Timings.Head = flow.Now()
	}
}

// tooLarge tells a long target (414) from a long header (431).
func tooLarge(head []byte) error {
	for _, c := range head {
		if c == '\n' {
			return wire.ErrHeadTooLarge
		}
	}
	return wire.ErrTargetTooLong
}

func syntaxFault(err error) *flow.Error {
	fault := &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 400, Cause: "bad request", Err: err}
	var syntax *wire.SyntaxError
	if errors.As(err, &syntax) {
		fault.Status = syntax.Status
	}
	return fault
}

// inline reports whether the exchange at hand needs nothing more from the
// client than what is in the buffer.
func (c *conn) inline() bool {
	s := c.s
	r := &s.x.Req
	return c.fd != noFD && r.ContentLength >= 0 && r.ContentLength <= int64(s.w-s.r) &&
		len(r.Upgrade) == 0 && r.Method != "CONNECT" && !r.Expect
}

// exchange serves the parsed exchange and readies the connection for the next.
func (c *conn) exchange() {
	s := c.s
	x := &s.x
	if !c.fc.Busy() {
		c.done = true
		return
	}
	x.Record.Method, x.Record.URI, x.Record.Version = x.Req.Method, x.Req.Original, version(x.Req.Minor)
	c.serving = true
	c.fc.Bound().Server.ServeExchange(x)
	if c.tunnel != nil {
		return // goes on in runTunnel
	}
	if !x.Finished() {
		x.Abort(flow.ErrAborted)
	}
	c.endExchange()
}

// endExchange settles the rest of the request, has the exchange logged, and
// readies the session for the next.
func (c *conn) endExchange() {
	s := c.s
	b := &s.body
	c.served++
	b.reopen()
	switch {
	case !s.answer.keep || s.x.Aborted():
		c.done = true
		c.linger = !b.done.Load() || s.w > s.r || b.br < b.bw
	case !b.done.Load() && !b.drain():
		c.done, c.linger = true, true
	}
	unread := int64(s.w - s.r + b.bw - b.br)
	s.x.Record.BytesIn, s.in = s.in-unread, unread
	s.x.End()
	s.poison()
	b.release()
	c.serving = false
	c.fc.Idle()
	if s.r == s.w {
		s.r, s.w = 0, 0
	} else {
		s.firstAt = time.Now() // of a pipelined request
		s.first = flow.At(s.firstAt)
	}
	c.idleSince = flow.Now()
}

// refuse answers what is no request, or one that did not come in time, and
// ends the connection.
func (c *conn) refuse(fault *flow.Error) {
	s := c.borrow()
	c.done, c.linger = true, true
	x := &s.x
	if s.w == s.r { // nothing came: the refusal stands for the request
		s.firstAt = time.Now()
		s.first = flow.At(s.firstAt)
	}
	c.fc.Pin()
	x.Begin(c.fc, c)
	s.answer.begin()
	if fault == errHello { // the answer behind it is for people who look
		s.answer.out = append(s.answer.out, alert...)
	}
	c.stamp()
	if !c.fc.Busy() {
		return
	}
	s.body.none()
	s.hd = wire.Head{Minor: 1}
	s.answer.keep = false
	x.Record.Bad = true
	x.Fault = fault
	x.Record.BytesIn = s.in
	c.serving = true
	c.fc.Bound().Server.ServeExchange(x)
	if !x.Finished() {
		x.Abort(fault)
	}
	x.End()
	c.serving = false
	c.fc.Idle()
	s.r, s.w = 0, 0
}

func version(minor uint8) string {
	if minor == 0 {
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// poison makes what the exchange lent useless to whoever kept it.
func (s *session) poison() {
	flow.Poison(s.buf[:s.r])
	flow.Poison(s.buf[s.w:])
	flow.Poison(s.answer.out[:cap(s.answer.out)])
}
