package http1

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
)

// body is the request's body. It is read by one goroutine; Close may be called
// by another, which is how a reader that waits for the client is woken.
type body struct {
	c       *conn
	remain  int64 // of a body with a length
	chunked bool
	chunks  wire.Chunked
	trailer flow.Header
	err     error
	closed  atomic.Bool
	broken  atomic.Bool // it cannot be read to its end
	until   int64       // when draining ends, 0 otherwise
	done    atomic.Bool // everything was taken from the connection
	big     *[bodyBuffer]byte
	br, bw  int  // unread stretch of big
	far     bool // some of it went beyond the session's buffer
	start   int  // of the body in the session's buffer
	length  int64
}

func (b *body) none() { b.begin(nil, nil, 0) }

func (b *body) begin(c *conn, _ *wire.Head, length int64) {
	b.c, b.remain, b.chunked, b.err = c, length, length < 0, nil
	b.chunks.Reset()
	b.until = 0
	b.closed.Store(false)
	b.broken.Store(false)
	b.done.Store(length == 0)
	b.br, b.bw, b.far = 0, 0, false
	if b.length = length; c != nil {
		b.start = c.s.r
	}
}

// Ready reports whether Next can answer without waiting for the client.
func (b *body) Ready() bool {
	if b.err != nil || b.remain == 0 && !b.chunked {
		return true
	}
	p := b.buffered()
	if !b.chunked {
		return len(p) > 0
	}
	return b.chunks.Ready(p)
}

// Rewind starts the body over, so that the request can be repeated; false if
// part of it is no longer there. Nobody must be reading it.
func (b *body) Rewind() bool {
	if b.length == 0 {
		return true
	}
	if b.c == nil || b.far || b.broken.Load() {
		return false
	}
	b.reopen()
	b.c.s.r = b.start
	b.remain, b.err = b.length, nil
	b.chunks.Reset()
	b.done.Store(false)
	return true
}

// reopen takes Close back: what it left is a deadline that has passed.
func (b *body) reopen() {
	if b.closed.Swap(false) {
		b.c.deadline = 0
		_ = b.c.fc.SetReadDeadline(time.Time{})
	}
}

// Next gives the next stretch of the body.
func (b *body) Next() ([]byte, error) {
	if b.err == nil && b.closed.Load() {
		return nil, flow.ErrAborted
	}
	for b.err == nil {
		p := b.buffered()
		if len(p) > 0 && !b.chunked {
			p = p[:min(int64(len(p)), b.remain)]
			b.take(len(p))
			if b.remain -= int64(len(p)); b.remain == 0 {
				b.err = io.EOF
				b.done.Store(true)
			}
			return p, nil
		}
		if len(p) > 0 {
			skip, n, err := b.chunks.Next(p)
			b.take(skip + n)
			switch {
			case err == io.EOF:
				b.err = b.readTrailer()
				b.done.Store(b.err == io.EOF)
				return nil, b.err
			case err != nil:
				b.err = syntaxFault(err)
				return nil, b.err
			case n > 0:
				return p[skip : skip+n], nil
			}
			continue
		}
		if b.remain == 0 && !b.chunked {
			b.err = io.EOF
			break
		}
		b.err = b.fill()
	}
	return nil, b.err
}

// Read copies.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	v, err := b.Next()
	n := copy(p, v)
	b.untake(len(v) - n)
	return n, err
}

// Trailer gives the trailer fields after io.EOF.
func (b *body) Trailer() *flow.Header {
	if !b.chunked || b.err != io.EOF {
		return nil
	}
	return &b.trailer
}

// Close tells that the rest is not wanted, and wakes a reader.
func (b *body) Close() error {
	if b.done.Load() || b.closed.Swap(true) || b.c == nil {
		return nil
	}
	return b.c.fc.SetReadDeadline(time.Unix(1, 0))
}

// buffered is what was read of the connection and not yet taken: first what
// came with the head, then what was read into big.
func (b *body) buffered() []byte {
	if b.br < b.bw {
		return b.big[b.br:b.bw]
	}
	s := b.c.s
	return s.buf[s.r:s.w]
}

func (b *body) take(n int) {
	if b.br < b.bw {
		b.br += n
	} else {
		b.c.s.r += n
	}
}

// untake gives back n bytes of the stretch that Next gave last, for Read.
func (b *body) untake(n int) {
	if n == 0 {
		return
	}
	if b.bw > 0 {
		b.br -= n
	} else {
		b.c.s.r -= n
	}
	if b.chunked {
		b.chunks.Untake(n)
	} else {
		b.remain += int64(n)
		b.err = nil
		b.done.Store(false)
	}
}

// fill reads more of the connection into big: the head's buffer is borrowed by
// the exchange. It never reads beyond a body whose length is known.
func (b *body) fill() error {
	if b.big == nil {
		b.big = bodyBuffers.Get().(*[bodyBuffer]byte)
	}
	if b.br == b.bw {
		b.br, b.bw = 0, 0
	}
	limit := b.big[b.bw:]
	if !b.chunked {
		limit = limit[:min(int64(len(limit)), b.remain)]
	}
	at := flow.Now() + int64(b.c.stall())
	if b.until > 0 {
		at = min(at, b.until)
	}
	b.c.due(at, int64(100*time.Millisecond))
	if b.closed.Load() {
		// Close may have come before the deadline was set: it must not be
		// waited out. Had it come later, its own deadline would count.
		b.c.deadline = 0
		return flow.ErrAborted
	}
	n, err := b.c.fc.Read(limit)
	if n > 0 {
		b.far = true
		b.bw += n
		b.c.s.in += int64(n)
		return nil
	}
	b.c.deadline = 0
	if b.closed.Load() {
		return flow.ErrAborted
	}
	b.broken.Store(true)
	if err == io.EOF {
		b.c.eof.Store(true)
		err = io.ErrUnexpectedEOF
	}
	return &flow.Error{
		Side: flow.SideClient, Phase: flow.PhaseData, Timeout: errors.Is(err, os.ErrDeadlineExceeded),
		Cause: "request body broke off", Err: err,
	}
}

// readTrailer reads the trailer section; io.EOF is its clean end.
func (b *body) readTrailer() error {
	scanned := 0
	for {
		p := b.buffered()
		end, next, err := wire.TrailerEnd(p, scanned)
		if err != nil {
			return syntaxFault(err)
		}
		if end > 0 {
			if err := wire.ParseTrailer(p[:end:end], b.c.limits.Fields, &b.trailer); err != nil {
				return syntaxFault(err)
			}
			b.take(end)
			return io.EOF
		}
		scanned = next
		if len(p) >= min(b.c.limits.HeadBytes, bodyBuffer) {
			return syntaxFault(wire.ErrHeadTooLarge)
		}
		if err := b.gather(); err != nil {
			return err
		}
	}
}

// gather makes the unread bytes contiguous in big and reads more behind them.
func (b *body) gather() error {
	if b.br == b.bw {
		if b.big == nil {
			b.big = bodyBuffers.Get().(*[bodyBuffer]byte)
		}
		s := b.c.s
		b.br, b.bw, b.far = 0, copy(b.big[:], s.buf[s.r:s.w]), true
		s.r = s.w
	} else if b.br > 0 {
		b.bw = copy(b.big[:], b.big[b.br:b.bw])
		b.br = 0
	}
	if b.bw == len(b.big) {
		return syntaxFault(wire.ErrHeadTooLarge)
	}
	return b.fill()
}

// release lets go of the body's buffer. What is left in it came behind a
// chunked body: the next request. The exchange must have ended.
func (b *body) release() {
	if b.big == nil {
		return
	}
	if rest := b.big[b.br:b.bw]; len(rest) > 0 {
		s := b.c.s
		if len(rest) > len(s.buf) {
			s.buf = make([]byte, bodyBuffer+headBuffer)
		}
		s.r, s.w = 0, copy(s.buf, rest)
	}
	bodyBuffers.Put(b.big)
	b.big, b.br, b.bw = nil, 0, 0
}

// drainLimit bounds what is read of a body that nobody wants, so that the
// connection can be kept.
const drainLimit = 256 << 10

// drainable reports whether the rest of a body that is not read is little
// enough to keep the connection for. It asks nothing that a reader changes.
func (b *body) drainable() bool {
	return b.length <= drainLimit && b.length > 0 && !b.broken.Load() && !b.c.s.x.Req.Expect
}

// drain takes the rest of the body off the connection after the answer was
// sent, within limits; false means that the connection cannot go on.
func (b *body) drain() bool {
	c := b.c
	if b.err != nil && b.err != flow.ErrAborted {
		return false
	}
	b.err = nil
	b.until = flow.Now() + int64(c.limits.Drain)
	for left := int64(drainLimit); left > 0 && flow.Now() < b.until; {
		p, err := b.Next()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
		left -= int64(len(p))
	}
	return b.done.Load()
}
