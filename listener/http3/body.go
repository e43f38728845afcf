package http3

import (
	"errors"
	"io"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// body is a stream as its request's body. It is read by one goroutine; Close may
// be called by another.
type body stream

// mark is where the body begins in the buffer, for who starts it over.
type mark struct {
	set bool
	r   int
}

// Next gives the next stretch of the body.
func (b *body) Next() ([]byte, error) {
	s := (*stream)(b)
	if s.bodyErr != nil {
		return nil, s.bodyErr
	}
	for {
		if s.dataLeft > 0 && s.r < s.w {
			n := int(min(uint64(s.w-s.r), s.dataLeft))
			p := s.in[s.r : s.r+n : s.r+n]
			s.r += n
			s.dataLeft -= uint64(n)
			s.got += int64(n)
			return p, nil
		}
		err := s.advance()
		if err == nil {
			continue
		}
		if err != flow.ErrAborted && !isTimeout(err) {
			s.bodyErr = err
		}
		return nil, err
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// advance reads up to the next byte of the body; io.EOF: there is none.
func (s *stream) advance() error {
	if s.dataLeft > 0 {
		return s.more()
	}
	kind, size, n := wire.ParseFrame(s.in[s.r:s.w])
	if n == 0 {
		if s.eof && s.r == s.w {
			return s.complete()
		}
		return s.more()
	}
	switch {
	case kind == wire.FrameData && !s.trailers:
		s.r += n
		return s.dataFrame(size)
	case kind == wire.FrameHeaders && !s.trailers:
		s.r += n
		return s.trailerFrame(size)
	case known(kind):
		s.c.abandon(wire.CodeUnexpected)
		return malformed("frame out of place")
	}
	s.r += n
	return s.skip(size)
}

// more waits for more bytes.
func (s *stream) more() error {
	s.closing.Lock()
	closed := s.closed
	s.closing.Unlock()
	if closed {
		return flow.ErrAborted
	}
	s.await(&s.readBy)
	err := s.fill()
	if s.tunnel == nil {
		s.readBy.Store(0)
	}
	if err == io.EOF && (s.dataLeft > 0 || s.r < s.w) { // RFC 9114 §7.1
		s.c.abandon(wire.CodeFrame)
		return malformed("stream ends inside a frame")
	}
	if err == io.EOF {
		return nil
	}
	return err
}

func malformed(cause string) *flow.Error {
	return &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Status: 400, Cause: cause}
}

// dataFrame begins a DATA frame.
func (s *stream) dataFrame(size uint64) error {
	switch {
	case size == 0:
		if !s.c.charge(multi.CostFrame) {
			return multi.ErrReset
		}
	case s.length >= 0 && (size > uint64(s.length) || s.got+int64(size) > s.length):
		return s.mislaid()
	case s.tunnel == nil && s.length < 0 && size < 64: // next to nothing
		if !s.c.charge(multi.CostFrame) {
			return multi.ErrReset
		}
	}
	s.dataLeft = size
	return nil
}

// mislaid is a body that differs from its content-length (RFC 9114 §4.1.2).
func (s *stream) mislaid() error {
	s.c.charge(multi.CostMalformed)
	s.refuse(wire.CodeMessage)
	return malformed("body differs from its content-length")
}

// trailerFrame reads the trailer section.
func (s *stream) trailerFrame(size uint64) error {
	if s.length >= 0 && s.got != s.length {
		return s.mislaid()
	}
	s.trailers = true
	s.await(&s.readBy)
	p, err := s.section(size)
	s.readBy.Store(0)
	if err != nil {
		if s.fault != nil { // it is too large
			s.refuse(wire.CodeLoad)
		}
		return malformed("broken trailer section")
	}
	s.tail.Begin()
	if s.decode(&s.tail, p, true) != nil {
		s.c.abandon(wire.CodeCompression)
		return malformed("broken trailer section")
	}
	if s.tail.Err != nil {
		s.c.charge(multi.CostMalformed)
		s.refuse(wire.CodeMessage)
		return malformed("malformed trailer section")
	}
	s.hasTrailer = s.tail.Trailer(&s.trailer)
	return nil
}

// complete looks whether the body is what was announced.
func (s *stream) complete() error {
	if s.length >= 0 && s.got != s.length {
		return s.mislaid()
	}
	return io.EOF
}

// Read copies.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	v, err := b.Next()
	n := copy(p, v)
	back := len(v) - n
	b.r -= back
	b.dataLeft += uint64(back)
	b.got -= int64(back)
	return n, err
}

// Ready reports whether Next can answer without waiting for the client.
func (b *body) Ready() bool {
	s := (*stream)(b)
	if s.bodyErr != nil || s.dataLeft > 0 && s.r < s.w {
		return true
	}
	if s.dataLeft > 0 {
		return s.eof
	}
	kind, _, n := wire.ParseFrame(s.in[s.r:s.w])
	if n == 0 {
		return s.eof
	}
	return kind == wire.FrameData && s.r+n < s.w
}

// Rewind starts the body over, so that the request can be repeated; false if
// part of it is no longer there.
func (b *body) Rewind() bool {
	s := (*stream)(b)
	if !s.mark.set || s.bodyErr != nil && s.bodyErr != io.EOF {
		return false
	}
	s.closing.Lock()
	if s.closed { // by whoever stopped the try before
		s.closed = false
		_ = s.q.SetReadDeadline(time.Time{})
	}
	s.closing.Unlock()
	s.r, s.dataLeft, s.got, s.trailers, s.hasTrailer, s.bodyErr = s.mark.r, 0, 0, false, false, nil
	return true
}

// Trailer gives the trailer fields after io.EOF.
func (b *body) Trailer() *flow.Header {
	if !b.hasTrailer {
		return nil
	}
	return &b.trailer
}

// Close tells that the rest is not wanted, and wakes a reader.
func (b *body) Close() error {
	b.closing.Lock()
	defer b.closing.Unlock()
	if !b.closed {
		b.closed = true
		_ = b.q.SetReadDeadline(time.Unix(1, 0))
	}
	return nil
}
