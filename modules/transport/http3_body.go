package transport

import (
	"io"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h1 "github.com/loadstar-lb/loadstar/listener/wire/http1"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// strandBody is the body of an answer that comes over HTTP/3. What it lends lies in the
// strand's buffer until the next call. The window is given back by QUIC as the buffer
// is filled from the stream, which happens only when the client has taken what was
// there: that is what holds the server back.
type strandBody struct {
	s   *strand
	err error
}

// Next gives the next stretch of the body.
func (b *strandBody) Next() ([]byte, error) {
	s := b.s
	for b.err == nil {
		if s.dataLeft > 0 && s.r < s.w {
			n := int(min(uint64(s.w-s.r), s.dataLeft))
			p := s.in[s.r : s.r+n : s.r+n]
			s.r += n
			s.dataLeft -= uint64(n)
			s.got += int64(n)
			return p, nil
		}
		if err := s.advance(); err != nil {
			if s.tunnels && isLate(err) { // tunnels have deadlines of their own, and go on
				return nil, err
			}
			b.err = err
		}
	}
	return nil, b.err
}

// isLate reports an error of a deadline.
func isLate(err error) bool {
	fault, ok := err.(*flow.Error)
	return ok && fault.Timeout
}

// advance reads up to the next byte of the body; io.EOF: there is none. Frames come in
// the order DATA, then at most one HEADERS, and what means nothing between them
// (RFC 9114 §4.1); of a tunnel there is DATA alone (§4.4).
func (s *strand) advance() error {
	if s.dataLeft > 0 {
		return s.more()
	}
	if s.skipLeft > 0 {
		s.limit()
		if err := s.skip(); err != nil {
			return s.broken(err)
		}
	}
	kind, size, n := wire.ParseFrame(s.in[s.r:s.w])
	switch {
	case n == 0 && s.eof && s.r == s.w:
		return s.complete()
	case n == 0:
		return s.more()
	case kind == wire.FrameData && !s.trailers:
		s.r += n
		if s.nobody && size > 0 || s.head.length >= 0 && !s.nobody && (size > wire.MaxVarint/2 || s.got+int64(size) > s.head.length) {
			return s.malformed()
		}
		if s.dataLeft = size; size == 0 { // frames that carry nothing are bounded
			return s.pass(0)
		}
		return nil
	case kind == wire.FrameHeaders && !s.trailers && !s.tunnels:
		return s.onTrailer(n, size)
	case known(kind):
		return s.c.protest(misplaced(kind))
	}
	s.r += n
	return s.pass(size)
}

// limit gives the server the stall timeout for its next bytes. A tunnel has deadlines
// of its own.
func (s *strand) limit() {
	if !s.tunnels && s.t.Stall > 0 {
		_ = s.q.SetReadDeadline(time.Now().Add(s.t.Stall))
	}
}

// more waits for more bytes.
func (s *strand) more() error {
	s.limit()
	if len(s.in) < strandLarge && s.w == len(s.in) {
		s.grow(strandLarge) // it was filled: more is to be expected
	}
	switch err := s.fill(); {
	case err == io.EOF && (s.dataLeft > 0 || s.r < s.w): // RFC 9114 §7.1
		return s.c.protest(wire.CodeFrame)
	case err != nil && err != io.EOF:
		return s.broken(err)
	}
	return nil
}

// complete looks whether the body is what was announced (RFC 9114 §4.1.2).
func (s *strand) complete() error {
	if n := s.head.length; n >= 0 && !s.nobody && s.got != n {
		return s.malformed()
	}
	return io.EOF
}

// onTrailer reads the trailer section.
func (s *strand) onTrailer(n int, size uint64) error {
	s.limit()
	p, err := s.section(n, size)
	if err != nil {
		return s.broken(err)
	}
	h := &s.tail
	fault := s.decode(h, p)
	switch {
	case fault != nil:
	case h.large:
		fault = s.tooLarge()
	case h.bad, h.status != 0:
		fault = s.malformed()
	default:
		h.fields.Rebase(h.arena)
		for i := range h.fields.Len() {
			if id, name, value, ok := h.fields.At(i); ok && !h1.NotTrailing(id) {
				s.trailer.AddBytes(name, value)
			}
		}
	}
	s.trailers = true
	if fault != nil {
		return fault
	}
	return nil
}

// Ready reports whether Next can answer without waiting for the server.
func (b *strandBody) Ready() bool {
	s := b.s
	switch {
	case b.err != nil:
		return true
	case s.dataLeft > 0:
		return s.r < s.w || s.eof
	case s.skipLeft > 0:
		return s.eof
	}
	kind, _, n := wire.ParseFrame(s.in[s.r:s.w])
	if n == 0 {
		return s.eof
	}
	return kind == wire.FrameData && s.r+n < s.w
}

// Read copies.
func (b *strandBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	v, err := b.Next()
	n := copy(p, v)
	back := len(v) - n
	b.s.r -= back
	b.s.dataLeft += uint64(back)
	b.s.got -= int64(back)
	return n, err
}

// Trailer gives the trailer fields after io.EOF.
func (b *strandBody) Trailer() *flow.Header {
	if s := b.s; s != nil && s.trailer.Len() > 0 {
		return &s.trailer
	}
	return nil
}

// Close lets go of the stream. What is not at its end is cut: the server is told
// that nobody waits for it any more.
func (b *strandBody) Close() error {
	s := b.s
	if s == nil {
		return nil
	}
	whole := b.err == io.EOF || b.err == nil && s.eof && s.r == s.w
	if whole && s.done != nil { // a server can have answered the last byte before the pump runs again
		t := time.NewTimer(lastWrite)
		select {
		case <-s.done:
		case <-t.C:
		}
		t.Stop()
	}
	s.x.Record.Own() // the head's buffer is lent to others from here on
	b.s = nil
	s.quit(whole)
	return nil
}

// Upgraded takes the stream out of HTTP after a 2xx to CONNECT. The body no longer
// owns it.
func (b *strandBody) Upgraded() (flow.Stream, []byte) {
	s := b.s
	b.s = nil
	s.x.Record.Own()
	s.leaves()
	_ = s.q.SetDeadline(time.Time{})
	return &strandTunnel{s: s, body: strandBody{s: s}}, nil
}
