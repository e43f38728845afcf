package http1

import (
	"io"
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
)

// answer is the state of the answer at hand.
type answer struct {
	out     []byte // what is not sent yet
	sent    int64
	left    int64 // of a body with a length
	chunked bool
	nobody  bool // the body is not to be sent (HEAD, 204, 304)
	keep    bool // the connection goes on afterwards
	err     error
}

func (a *answer) begin() {
	a.out, a.sent, a.left, a.chunked, a.nobody, a.keep, a.err = a.out[:0], 0, -1, false, false, true, nil
}

// copyLimit is the size up to which a body is copied behind its head, rather
// than sent beside it by writev.
const copyLimit = 2 << 10

// oneRecord is the same for TLS, where each piece would be a record and a system
// call of its own (RFC 8446 §5.1: a record holds at most 16 KiB).
const oneRecord = 16 << 10

// Inform sends an interim answer; HTTP/1.0 clients know none (RFC 9110 §15.2).
func (c *conn) Inform(status int, h *flow.Header) error {
	s := c.s
	if s.hd.Minor == 0 {
		return nil
	}
	if status == 100 {
		s.x.Req.Expect = false
	}
	s.answer.out = wire.AppendInterim(s.answer.out, status, h)
	return c.Flush()
}

// Start writes the head into the buffer.
func (c *conn) Start() error {
	s := c.s
	a, x := &s.answer, &s.x
	r := &x.Resp
	f := wire.AnswerFraming{Length: -1}
	a.keep = a.keep && s.hd.KeepsAlive() && !c.draining() && !c.eof.Load() && (s.body.done.Load() || s.body.drainable())
	switch {
	case r.Status == 101:
		f.Upgrade, a.keep, a.nobody = r.Upgrade, false, true
		a.out = wire.AppendResponse(a.out, r, f)
		return nil
	case x.Req.Method == "CONNECT" && r.Status/100 == 2:
		a.keep, a.nobody = false, true
		a.out = wire.AppendResponse(a.out, r, f)
		return nil
	case !flow.BodyAllowed(x.Req.Method, r.Status):
		a.nobody = true
		if r.Status >= 200 && r.Status != 204 {
			f.Length = r.ContentLength
		}
	case r.ContentLength >= 0:
		f.Length, a.left = r.ContentLength, r.ContentLength
	case s.hd.Minor > 0:
		f.Chunked, a.chunked = true, true
	default:
		a.keep = false // HTTP/1.0: the body ends with the connection
	}
	f.Close = !a.keep
	f.Keep = a.keep && s.hd.Minor == 0
	a.out = wire.AppendResponse(a.out, r, f)
	return nil
}

func (c *conn) draining() bool { return c.fc.Source.Load().Draining }

// Write sends body bytes, or keeps few of them back to go with the head.
func (c *conn) Write(p []byte) (int, error) {
	a := &c.s.answer
	if a.err != nil {
		return 0, a.err
	}
	if a.nobody || len(p) == 0 {
		return len(p), nil
	}
	if a.left >= 0 {
		if int64(len(p)) > a.left {
			return 0, flow.ErrTooLong
		}
		a.left -= int64(len(p))
	}
	if a.chunked {
		a.out = wire.AppendChunkSize(a.out, len(p))
	}
	room := len(a.out) + len(p) + 16
	if len(p) <= copyLimit && room <= cap(a.out) || c.raw == nil && room <= oneRecord {
		a.out = append(a.out, p...)
		c.endChunk()
		return len(p), nil
	}
	if err := c.send(p); err != nil {
		return 0, err
	}
	c.endChunk()
	return len(p), nil
}

func (c *conn) endChunk() {
	if a := &c.s.answer; a.chunked {
		a.out = append(a.out, '\r', '\n')
	}
}

// Flush sends what is kept back.
func (c *conn) Flush() error { return c.send(nil) }

// send writes what is kept back and then p: with one system call when the
// socket takes it.
func (c *conn) send(p []byte) error {
	a := &c.s.answer
	total := len(a.out) + len(p)
	if a.err != nil || total == 0 {
		return a.err
	}
	n := 0
	if c.fd != noFD {
		var err error
		switch {
		case len(a.out) == 0:
			n, err = sock.Write(c.fd, p)
		case len(p) == 0:
			n, err = sock.Write(c.fd, a.out)
		default:
			n, err = sock.Writev(c.fd, a.out, p)
		}
		if err != nil && err != sock.ErrAgain {
			return c.sendFailed(err)
		}
	}
	if n < total {
		if err := c.sendRest(n, p); err != nil {
			return c.sendFailed(err)
		}
	}
	a.sent += int64(total)
	a.out = a.out[:0]
	return nil
}

// stall is how long a body may stand still.
func (c *conn) stall() time.Duration {
	if d := c.s.x.Stall; d > 0 {
		return d
	}
	return c.limits.Stall
}

// sendRest waits for the client to take what is left after n bytes.
func (c *conn) sendRest(n int, p []byte) error {
	a := &c.s.answer
	stall := c.stall()
	var pieces [2][]byte
	pieces[0], pieces[1] = a.out, p
	for _, b := range pieces {
		if n >= len(b) {
			n -= len(b)
			continue
		}
		for b = b[n:]; len(b) > 0; {
			// Progress counts, not completion: a deadline a buffer.
			part := b[:min(len(b), 64<<10)]
			c.dueWrite(int64(stall))
			m, err := c.fc.Write(part)
			if err != nil {
				return err
			}
			b = b[m:]
		}
		n = 0
	}
	return nil
}

// dueWrite has writes fail after stall, or up to a second later: the deadline is
// set once a second, not once a write.
func (c *conn) dueWrite(stall int64) {
	if now := flow.Now(); c.writeBy < now+stall {
		c.writeBy = now + stall + int64(time.Second)
		_ = c.fc.SetWriteDeadline(flow.Time(c.writeBy))
	}
}

func (c *conn) sendFailed(err error) error {
	a := &c.s.answer
	ne, ok := err.(net.Error)
	a.err = &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Timeout: ok && ne.Timeout(), Cause: "client gone", Err: err}
	a.keep = false
	return a.err
}

// Finish ends the answer.
func (c *conn) Finish() error {
	a := &c.s.answer
	if a.left > 0 && !a.nobody || !c.s.x.Started() {
		c.Abort(io.ErrUnexpectedEOF)
		return io.ErrUnexpectedEOF
	}
	if a.chunked && !a.nobody {
		a.out = wire.AppendLastChunk(a.out, &c.s.x.Resp.Trailer)
	}
	err := c.Flush()
	c.s.x.Record.BytesOut = a.sent
	return err
}

// Abort cuts the answer short. A body that would end with the connection must
// not look complete, so that one is reset.
func (c *conn) Abort(error) {
	a := &c.s.answer
	a.keep = false
	if c.s.x.Started() && a.err == nil {
		if a.left < 0 && !a.chunked && !a.nobody {
			c.reset()
		} else {
			_ = c.Flush()
		}
	}
	a.err = flow.ErrAborted
	c.s.x.Record.BytesOut = a.sent
}

// reset has the connection end with a reset rather than with a clean end, when
// the caller of ServeConn closes it.
func (c *conn) reset() {
	c.broken = true
	nc := c.fc.Conn
	for {
		over, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		nc = over.NetConn()
	}
	if s, ok := nc.(interface{ SetLinger(int) error }); ok {
		_ = s.SetLinger(0)
	}
	if nc != c.fc.Conn {
		_ = nc.Close() // before the layer above says a clean goodbye
	}
}
