package transport

import (
	"io"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// muxBody is the body of an answer that comes over HTTP/2.
type muxBody struct {
	s    *stream
	view []byte // lent
	vr   int    // of it, given
	due  int    // bytes of view whose window is still to be given back
}

func (b *muxBody) begin(s *stream) { b.s, b.view, b.vr, b.due = s, b.view[:0], 0, 0 }

// Next gives the next stretch of the body.
func (b *muxBody) Next() ([]byte, error) {
	s := b.s
	m := s.m
	if b.vr < len(b.view) {
		p := b.view[b.vr:]
		b.vr = len(b.view)
		return p, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.tunnels {
		s.readBy = 0
	}
	for {
		if b.due > 0 {
			before := len(m.out)
			s.credit(b.due)
			if b.due = 0; len(m.out) > before {
				m.flush() // the server can go on while the client takes what is there
			}
		}
		switch {
		case len(s.in) > 0:
			b.view, s.in = s.in, b.view[:0]
			b.vr, b.due = len(b.view), len(b.view)
			return b.view, nil
		case s.remoteEnded:
			return nil, io.EOF
		case s.fault != nil:
			return nil, s.fault
		case !m.writing && len(m.out) > 0:
			m.flush()
			continue
		case overdue(s.readBy):
			return nil, stalled()
		}
		if !s.tunnels && s.readBy == 0 {
			s.readBy = s.until(s.t.Stall)
		}
		s.wait()
	}
}

// Ready reports whether Next can answer without waiting for the server.
func (b *muxBody) Ready() bool {
	if b.vr < len(b.view) {
		return true
	}
	s := b.s
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return len(s.in) > 0 || s.remoteEnded || s.fault != nil
}

// Read copies.
func (b *muxBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	v, err := b.Next()
	n := copy(p, v)
	b.vr -= len(v) - n
	return n, err
}

// Trailer gives the trailer fields after io.EOF.
func (b *muxBody) Trailer() *flow.Header {
	if s := b.s; s != nil && s.trailer.Len() > 0 {
		return &s.trailer
	}
	return nil
}

// Close lets go of the stream. What is not at its end is cut: the server is told
// that nobody waits for it any more.
func (b *muxBody) Close() error {
	s := b.s
	if s == nil {
		return nil
	}
	m := s.m
	m.mu.Lock()
	s.closed = true
	whole := s.remoteEnded
	m.mu.Unlock()
	if whole {
		s.settles()
	}
	x := s.x
	x.Record.Own() // the head's buffer is lent to others from here on
	b.s = nil
	s.quit()
	return nil
}

// Upgraded takes the stream out of HTTP after a 2xx to CONNECT. The body no longer
// owns it.
func (b *muxBody) Upgraded() (flow.Stream, []byte) {
	s := b.s
	b.s = nil
	s.x.Record.Own()
	s.parts()
	s.m.mu.Lock()
	s.readBy, s.writeBy = 0, 0
	s.m.mu.Unlock()
	return &muxTunnel{s: s, body: muxBody{s: s}}, nil
}
