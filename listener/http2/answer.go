package http2

import (
	"errors"
	"io"
	"sync"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// Left reports whether the client has left, for who waits on its behalf.
func (s *stream) Left() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.dead() != nil
}

// OnLeave has w told when the client has left; see flow.Exchange.
func (s *stream) OnLeave(w flow.Witness) {
	s.c.mu.Lock()
	s.witness = w
	left := w != nil && s.dead() != nil
	s.c.mu.Unlock()
	if left {
		w.ClientLeft()
	}
}

// Inform sends an interim answer.
func (s *stream) Inform(status int, h *flow.Header) error {
	if status == 100 {
		s.x.Req.Expect = false
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s.writeBy = s.until()
	if err := s.room(); err != nil {
		return err
	}
	s.sendHead(0, func(_ *stream, b []byte) []byte {
		b = h2.AppendStatus(b, status)
		if h != nil {
			b = h2.AppendFields(b, h, h2.Hop|1<<flow.FieldContentLength)
		}
		return b
	})
	c.flush()
	return s.dead()
}

// Start puts the head into the buffer.
func (s *stream) Start() error {
	c, r := s.c, &s.x.Resp
	if err := s.switched(); err != nil {
		return err
	}
	switch {
	case multi.Tunnels(&s.x):
	case !flow.BodyAllowed(s.x.Req.Method, r.Status):
		s.nobody = true
	case r.ContentLength >= 0:
		s.left = r.ContentLength
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.writeBy = s.until()
	if s.answerErr = s.room(); s.answerErr != nil {
		return s.answerErr
	}
	s.sendHead(0, finalHead)
	return nil
}

// finalHead appends the head of the final answer.
func finalHead(s *stream, b []byte) []byte {
	status, length, skip := multi.Final(&s.x)
	b = h2.AppendFields(h2.AppendStatus(b, status), &s.x.Resp.Header, skip)
	if length >= 0 {
		b = h2.AppendLength(b, length)
	}
	return b
}

// Write sends body bytes, or keeps few of them back to go with the head.
func (s *stream) Write(p []byte) (int, error) {
	switch {
	case s.answerErr != nil:
		return 0, s.answerErr
	case s.nobody || len(p) == 0:
		return len(p), nil
	case s.left >= 0 && int64(len(p)) > s.left:
		return 0, flow.ErrTooLong
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	n, err := s.sendData(p)
	if s.left >= 0 {
		s.left -= int64(n)
	}
	s.answerErr = err
	return n, err
}

var copyBuffers = sync.Pool{New: func() any { return new([h2.MaxFrame]byte) }}

// Relay copies n bytes of src, or all of them.
func (s *stream) Relay(src io.Reader, n int64) (moved int64, err error) {
	if s.answerErr != nil {
		return 0, s.answerErr
	}
	if s.left >= 0 && n > s.left {
		return 0, flow.ErrTooLong
	}
	buf := copyBuffers.Get().(*[h2.MaxFrame]byte)
	defer copyBuffers.Put(buf)
	return flow.Copy(s, src, n, buf[:])
}

// Flush sends what is kept back.
func (s *stream) Flush() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.flush()
	return s.dead()
}

// Finish ends the answer. A request that is still coming is not wanted any more:
// the client is told so without the answer being taken back (RFC 9113 §8.1).
func (s *stream) Finish() error {
	c := s.c
	if s.left > 0 && !s.nobody || !s.x.Started() {
		s.Abort(io.ErrUnexpectedEOF)
		return io.ErrUnexpectedEOF
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := s.dead()
	if err == nil {
		if t := &s.x.Resp.Trailer; !s.nobody && multi.HasTrailer(t) {
			s.sendHead(h2.FlagEndStream, func(s *stream, b []byte) []byte { return appendTrailer(b, &s.x.Resp.Trailer) })
			s.localEnd()
		} else {
			s.endStream()
		}
		switch {
		case s.fault != nil && s.fault.StatusCode() == 400:
			s.cut(h2.CodeProtocol)
		case !s.remoteEnded:
			s.cut(h2.CodeNone)
		default:
			c.budget.Good.Add(1)
		}
		c.flush()
		err = c.failed
	}
	s.x.Record.BytesOut = s.sent
	return err
}

func appendTrailer(b []byte, h *flow.Header) []byte {
	for i := range h.Len() {
		if id, name, value, ok := h.At(i); ok && multi.Trails(id) {
			b = h2.AppendField(b, id, name, value)
		}
	}
	return b
}

// Abort cuts the answer short, with the code that a server has cut it with.
func (s *stream) Abort(err error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.dead() == nil {
		e := h2.CodeInternal
		var reset *flow.Reset
		switch {
		case s.fault != nil:
			e = h2.CodeProtocol
		case errors.As(err, &reset):
			e = h2.Code(reset.Code)
		}
		s.cut(e)
		c.flush()
	}
	s.answerErr = flow.ErrAborted
	s.x.Record.BytesOut = s.sent
}
