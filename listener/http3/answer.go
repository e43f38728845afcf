package http3

import (
	"errors"
	"io"
	"os"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// keepBack is how many bytes of an answer are kept back to leave together.
const keepBack = 4 << 10

// Left reports whether the client has left, for who waits on its behalf.
func (s *stream) Left() bool { return s.dead() != nil }

// Inform sends an interim answer.
func (s *stream) Inform(status int, h *flow.Header) error {
	if status == 100 {
		s.x.Req.Expect = false
	}
	at := s.beginHead()
	s.out = wire.AppendStatus(s.out, status)
	if h != nil {
		s.appendFields(h, h2.Hop|1<<flow.FieldContentLength)
	}
	s.endHead(at)
	return s.Flush()
}

// Start puts the head into the buffer.
func (s *stream) Start() error {
	x := &s.x
	if err := s.switched(); err != nil {
		return err
	}
	if s.answerErr = s.dead(); s.answerErr != nil {
		return s.answerErr
	}
	status, length, skip := multi.Final(x)
	at := s.beginHead()
	s.out = wire.AppendStatus(s.out, status)
	s.appendFields(&x.Resp.Header, skip)
	if length >= 0 {
		s.out = wire.AppendLength(s.out, length)
	}
	s.endHead(at)
	switch n := x.Resp.ContentLength; {
	case multi.Tunnels(x):
	case !flow.BodyAllowed(x.Req.Method, x.Resp.Status):
		s.nobody = true
	case n >= 0: // one DATA frame holds it all, however it comes
		if s.left = n; n > 0 {
			s.out = wire.AppendFrame(s.out, wire.FrameData, uint64(n))
		}
	}
	return nil
}

func (s *stream) beginHead() (at int) {
	at = len(s.out)
	s.out = wire.AppendSection(wire.Reserve(s.out, wire.FrameHeaders))
	return at
}

func (s *stream) endHead(at int) { s.out = wire.Seal(s.out, at) }

func (s *stream) appendFields(h *flow.Header, skip uint64) {
	for i := range h.Len() {
		if id, name, value, ok := h.At(i); ok && !h2.In(skip, id) {
			s.out = wire.AppendField(s.out, id, name, value)
		}
	}
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
	if s.left < 0 {
		s.out = wire.AppendFrame(s.out, wire.FrameData, uint64(len(p)))
	}
	if len(s.out)+len(p) <= keepBack {
		s.out = append(s.out, p...)
		s.answerErr = s.dead()
	} else {
		// The head, and of the body what makes the first packets full.
		n := min(len(p), max(0, keepBack-len(s.out)))
		s.out = append(s.out, p[:n]...)
		if err := s.Flush(); err == nil {
			s.answerErr = s.send(p[n:])
		}
	}
	if s.answerErr != nil {
		return 0, s.answerErr
	}
	if s.left >= 0 {
		s.left -= int64(len(p))
	}
	s.c.budget.Sent.Add(int64(len(p)))
	return len(p), nil
}

// send hands bytes to QUIC, and waits while the client takes none.
func (s *stream) send(p []byte) error {
	for len(p) > 0 {
		part := p[:min(len(p), largeBuffer)] // progress within the stall timeout counts
		s.await(&s.writeBy)
		n, err := s.q.Write(part)
		s.sent += int64(n)
		if s.tunnel == nil {
			s.writeBy.Store(0)
		}
		if err != nil {
			return s.writeFault(err)
		}
		p = p[len(part):]
	}
	return nil
}

func (s *stream) writeFault(err error) error {
	var cut *quic.StreamError
	switch {
	case errors.As(err, &cut):
		return multi.ErrReset
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return multi.Gone(err)
	case s.tunnel != nil:
		return os.ErrDeadlineExceeded
	}
	return multi.TakesNothing()
}

var copyBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// Relay copies n bytes of src, or all of them.
func (s *stream) Relay(src io.Reader, n int64) (moved int64, err error) {
	if s.answerErr != nil {
		return 0, s.answerErr
	}
	if s.left >= 0 && n > s.left {
		return 0, flow.ErrTooLong
	}
	buf := copyBuffers.Get().(*[largeBuffer]byte)
	defer copyBuffers.Put(buf)
	return flow.Copy(s, src, n, buf[:])
}

// Flush sends what is kept back.
func (s *stream) Flush() error {
	if len(s.out) > 0 && s.answerErr == nil {
		s.answerErr = s.send(s.out)
		s.out = s.out[:0]
	}
	if s.answerErr != nil {
		return s.answerErr
	}
	return s.dead()
}

// Finish ends the answer. A request that is still coming is not wanted any more:
// the client is told so without the answer being taken back (RFC 9114 §4.1).
func (s *stream) Finish() error {
	if s.left > 0 && !s.nobody || !s.x.Started() {
		s.Abort(io.ErrUnexpectedEOF)
		return io.ErrUnexpectedEOF
	}
	if t := &s.x.Resp.Trailer; s.answerErr == nil && !s.nobody && multi.HasTrailer(t) {
		at := s.beginHead()
		s.appendTrailer(t)
		s.endHead(at)
	}
	err := s.Flush()
	s.unwatch()
	if err == nil {
		s.ended = true
		_ = s.q.Close()
		if s.fault != nil && s.fault.StatusCode() == 400 {
			s.refuse(wire.CodeMessage)
			s.c.charge(multi.CostMalformed)
		} else {
			s.refuse(codeNone)
			s.c.budget.Good.Add(1)
		}
	} else {
		s.cut(wire.CodeInternal)
	}
	s.x.Record.BytesOut = s.sent
	return err
}

func (s *stream) appendTrailer(h *flow.Header) {
	for i := range h.Len() {
		if id, name, value, ok := h.At(i); ok && multi.Trails(id) {
			s.out = wire.AppendField(s.out, id, name, value)
		}
	}
}

// Abort cuts the answer short, with what a server has cut it with. What was kept
// back of it still leaves; a cut may overtake it, unless the client knows better.
func (s *stream) Abort(err error) {
	if !s.ended {
		if s.dead() == nil && s.x.Started() && len(s.out) > 0 && s.answerErr == nil {
			_ = s.q.TryWriteAll(s.out)
		}
		if s.x.Started() && s.answerErr == nil {
			s.q.SetReliableBoundary()
		}
		e := wire.CodeInternal
		var reset *flow.Reset
		switch {
		case s.fault != nil:
			e = wire.CodeMessage
		case errors.As(err, &reset):
			e = codeOf(h2.Code(reset.Code))
		}
		s.cut(e)
	}
	s.answerErr = flow.ErrAborted
	s.x.Record.BytesOut = s.sent
}

// codeOf gives HTTP/2's code of a cut stream its like here.
func codeOf(c h2.Code) wire.Code {
	switch c {
	case h2.CodeNone:
		return wire.CodeNone
	case h2.CodeRefused:
		return wire.CodeRejected
	case h2.CodeCancel:
		return wire.CodeCancelled
	case h2.CodeCalm:
		return wire.CodeLoad
	}
	return wire.CodeInternal
}
