package http2

import (
	"io"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
)

// body is a stream as its request's body. It is read by one goroutine; Close may
// be called by another.
type body stream

// Next gives the next stretch of the body.
func (b *body) Next() ([]byte, error) {
	s := (*stream)(b)
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.tunnel == nil {
		s.readBy = s.until()
	}
	for {
		switch {
		case s.bodyClosed:
			return nil, flow.ErrAborted
		case s.vr < len(s.view):
			p := s.view[s.vr:]
			s.vr = len(s.view)
			return p, nil
		}
		s.refund()
		if len(s.in) > 0 {
			s.view, s.in = s.in, s.view[:0]
			s.vr, s.due = 0, len(s.view)
			s.views++
			continue
		}
		if err := s.ending(); err != nil {
			return nil, err
		}
		if !c.writing && len(c.out) > 0 {
			c.flush() // a client that waits for its window, or for an answer, gets it
			continue
		}
		if s.readBy > 0 && flow.Now() >= s.readBy {
			return nil, multi.BrokeOff()
		}
		s.reading = true
		s.cond.Wait()
		s.reading = false
	}
}

// refund gives back the window of what was read; c.mu is held.
func (s *stream) refund() {
	n := s.due
	s.due = 0
	s.credit(n)
}

// ending tells why no more will come, nil if more may; c.mu is held.
func (s *stream) ending() error {
	switch {
	case s.bodyErr != nil:
		return s.bodyErr
	case s.remoteEnded:
		return io.EOF
	}
	return s.dead()
}

// Read copies.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	v, err := b.Next()
	n := copy(p, v)
	b.vr -= len(v) - n
	return n, err
}

// Ready reports whether Next can answer without waiting for the client.
func (b *body) Ready() bool {
	s := (*stream)(b)
	if s.vr < len(s.view) {
		return true
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return len(s.in) > 0 || s.ending() != nil
}

// Rewind starts the body over, so that the request can be repeated; false if
// part of it is no longer there.
func (b *body) Rewind() bool {
	if b.views > 1 {
		return false
	}
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.bodyClosed = false // by whoever stopped the try before
	b.vr = 0
	return (*stream)(b).bodyErr == nil && !b.reset
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
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.bodyClosed = true
	b.cond.Broadcast()
	return nil
}
