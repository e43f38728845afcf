package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// body is the body of a server's answer.
type body struct {
	c       *conn
	x       *flow.Exchange
	t       *upstream.Timeouts
	framing wire.Framing
	remain  int64
	chunks  wire.Chunked
	trailer flow.Header
	err     error
	big     *[relayBuffer]byte
	br, bw  int
}

// relayBuffer is read into while a body is relayed.
const relayBuffer = 64 << 10

var relayBuffers = sync.Pool{New: func() any { return new([relayBuffer]byte) }}

func (b *body) begin(c *conn, x *flow.Exchange, t *upstream.Timeouts) {
	b.c, b.x, b.t = c, x, t
	b.framing = c.hd.Framing(x.Req.Method, x.Resp.Status)
	b.remain, b.err, b.br, b.bw = c.hd.ContentLength, nil, 0, 0
	b.chunks.Reset()
	if b.framing == wire.FrameNone || b.upgraded() {
		b.framing, b.err = wire.FrameNone, io.EOF
	}
}

// upgraded reports whether the connection has left HTTP.
func (b *body) upgraded() bool {
	status := b.x.Resp.Status
	return status == 101 || b.x.Req.Method == "CONNECT" && status/100 == 2
}

// Next gives the next stretch of the body.
func (b *body) Next() ([]byte, error) {
	for b.err == nil {
		p := b.buffered()
		if len(p) == 0 {
			b.err = b.fill()
			continue
		}
		switch b.framing {
		case wire.FrameLength:
			p = p[:min(int64(len(p)), b.remain)]
			b.take(len(p))
			if b.remain -= int64(len(p)); b.remain == 0 {
				b.err = io.EOF
			}
			return p, nil
		case wire.FrameChunked:
			skip, n, err := b.chunks.Next(p)
			b.take(skip + n)
			if err == io.EOF {
				b.err = b.readTrailer()
				return nil, b.err
			}
			if err != nil {
				b.err = b.invalid(err)
				return nil, b.err
			}
			if n > 0 {
				return p[skip : skip+n], nil
			}
		default:
			b.take(len(p))
			return p, nil
		}
	}
	return nil, b.err
}

// Ready reports whether Next can answer without waiting for the server.
func (b *body) Ready() bool {
	switch {
	case b.err != nil:
		return true
	case b.framing == wire.FrameChunked:
		return b.chunks.Ready(b.buffered())
	default:
		return len(b.buffered()) > 0
	}
}

// Read copies.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	v, err := b.Next()
	n := copy(p, v)
	if rest := len(v) - n; rest > 0 {
		if b.bw > 0 {
			b.br -= rest
		} else {
			b.c.r -= rest
		}
		switch b.framing {
		case wire.FrameLength:
			b.remain += int64(rest)
			b.err = nil
		case wire.FrameChunked:
			b.chunks.Untake(rest)
		case wire.FrameNone, wire.FrameClose:
		}
	}
	return n, err
}

// Trailer gives the trailer fields after io.EOF.
func (b *body) Trailer() *flow.Header {
	if b.framing != wire.FrameChunked || b.err != io.EOF {
		return nil
	}
	return &b.trailer
}

// Close gives the connection back, or closes it if the answer was not read to
// its end, if bytes came behind it, or if the request is still being sent.
func (b *body) Close() error {
	c := b.c
	if c == nil {
		return nil
	}
	b.c = nil
	reuse := b.err == io.EOF && !c.short && c.hd.KeepsAlive() && b.framing != wire.FrameClose && b.br == b.bw && c.r == c.w
	if c.pump != nil && !(reuse && c.pump.settled()) {
		reuse = false
		_ = c.stopPump(b.x) // the answer is whole: how the request ended no longer matters
	}
	if b.big != nil {
		relayBuffers.Put(b.big)
		b.big = nil
	}
	b.x.Record.Own() // the head's buffer is lent to others from here on
	b.x, b.t = nil, nil
	c.end(reuse)
	return nil
}

// Socket gives the connection when the next n bytes of the body can be taken
// from it directly: a body with a length, of which nothing is buffered.
func (b *body) Socket() (nc *net.TCPConn, n int64) {
	if b.framing != wire.FrameLength || b.err != nil || len(b.buffered()) > 0 {
		return nil, 0
	}
	nc, _ = b.c.Conn.(*net.TCPConn)
	return nc, b.remain
}

// Moved tells that n bytes were taken from Socket.
func (b *body) Moved(n int64) {
	if b.remain -= n; b.remain == 0 {
		b.err = io.EOF
	}
	b.c.deadline = -1
}

// Upgraded takes the connection out of HTTP after a 101, or a 2xx to CONNECT:
// the stream, and what was read of it already. The body no longer owns it.
func (b *body) Upgraded() (flow.Stream, []byte) {
	c := b.c
	b.c = nil
	early := append([]byte(nil), c.buf[c.r:c.w]...)
	_ = c.stopPump(b.x) // a tunnel shows by itself whether it works
	b.x.Record.Own()
	_ = c.SetDeadline(time.Time{})
	w := c.work
	c.work = nil
	w.land()
	flow.Poison(w.buf)
	works.Put(w)
	st, ok := c.Conn.(flow.Stream)
	if !ok {
		_ = c.Close()
		return nil, nil
	}
	return st, early
}

func (b *body) buffered() []byte {
	if b.br < b.bw {
		return b.big[b.br:b.bw]
	}
	return b.c.buf[b.c.r:b.c.w]
}

func (b *body) take(n int) {
	if b.br < b.bw {
		b.br += n
	} else {
		b.c.r += n
	}
}

// fill reads more into a buffer of its own: the head's is borrowed.
func (b *body) fill() error {
	if b.big == nil {
		b.big = relayBuffers.Get().(*[relayBuffer]byte)
	}
	if b.br == b.bw {
		b.br, b.bw = 0, 0
	}
	b.c.within(b.t.Stall)
	n, err := b.c.Read(b.big[b.bw:])
	if n > 0 {
		b.bw += n
		return nil
	}
	if err == io.EOF && b.framing == wire.FrameClose {
		return io.EOF
	}
	if fault := b.c.leftBehind(flow.PhaseData); fault != nil {
		return fault
	}
	if fault := b.c.pump.failure(); fault != nil {
		return fault // not the server's fault: the pump closed the connection
	}
	return b.broken(err)
}

// broken is an answer that ended before its end.
func (b *body) broken(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &flow.Error{
		Side: flow.SideServer, Phase: flow.PhaseData, Timeout: errors.Is(err, os.ErrDeadlineExceeded),
		Cause: "answer broke off", Err: err, Begun: true,
	}
}

func (b *body) invalid(err error) error {
	return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseData, Cause: "invalid body", Err: err, Begun: true}
}

// readTrailer reads the trailer section; io.EOF is its clean end.
func (b *body) readTrailer() error {
	scanned := 0
	for {
		p := b.buffered()
		end, next, err := wire.TrailerEnd(p, scanned)
		if err != nil {
			return b.invalid(err)
		}
		if end > 0 {
			if err := wire.ParseTrailer(p[:end:end], fieldLimit, &b.trailer); err != nil {
				return b.invalid(err)
			}
			b.take(end)
			return io.EOF
		}
		if scanned = next; len(p) >= headLimit {
			return b.invalid(wire.ErrHeadTooLarge)
		}
		b.gather()
		if err := b.fill(); err != nil {
			return err
		}
	}
}

// gather makes the unread bytes contiguous at the start of big.
func (b *body) gather() {
	if b.br < b.bw {
		b.bw = copy(b.big[:], b.big[b.br:b.bw])
		b.br = 0
		return
	}
	if b.big == nil {
		b.big = relayBuffers.Get().(*[relayBuffer]byte)
	}
	b.br, b.bw = 0, copy(b.big[:], b.c.buf[b.c.r:b.c.w])
	b.c.r = b.c.w
}
