package transport

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// strand is one exchange on an HTTP/3 connection. It comes from a pool and keeps its
// buffers. The exchange's goroutine reads the answer; the request is written by it,
// or by a pump while a body is still on its way.
//
// It ends in one of three ways. By itself: answer read, request written. By whoever is
// at work on it: quit, which cuts what has not ended and waits for the pump. From
// outside (client, server's GOAWAY, operator, pump): fail, which leaves a fault and
// cuts both directions, so that reads and writes that wait return, and whose callers
// then find the fault rather than QUIC's error. Nobody outside reaches a strand that
// has been released: leaves and line.remove come before that.
//
// There is always something that ends a wait: reads have the deadline of their phase
// (an expectation, the first byte, progress), writes that of progress, and both the
// connection's end, which its silence brings about at last.
type strand struct {
	c     *line
	q     quicStream
	x     *flow.Exchange
	t     *upstream.Timeouts
	first bool // of its connection

	mu      sync.Mutex
	fault   *flow.Error // why nothing more comes
	headed  bool        // the final head is there
	expects bool        // the server is given expectLimit to speak
	sent    bool        // the request has been, as far as it will be
	stopped bool        // the request is not to be sent any further

	// Of whoever writes:
	out   []byte
	ended bool          // our side has
	done  chan struct{} // the pump's; nil without

	// Of the exchange:
	in       []byte
	r, w     int
	eof      bool
	readErr  error // what a read gave beside its bytes
	dataLeft uint64
	skipLeft uint64 // of a frame that means nothing, which a deadline may have come into
	skipped  int    // bytes of such frames
	informed int    // interim answers so far
	nobody   bool
	tunnels  bool // the stream is one of bytes
	got      int64
	dec      wire.Decoder
	field    []byte // that is being decoded
	head     head
	tail     head // the trailer section's
	trailers bool // it has been read
	trailer  flow.Header
	body     strandBody
}

var strands = sync.Pool{New: func() any { return new(strand) }}

// Sizes of the buffer that an answer is read by.
const (
	strandBuffer = 4 << 10 // holds the head and the small body of most
	strandLarge  = 32 << 10
	maxSkipped   = 64 << 10 // of frames that mean nothing, an answer
)

func (s *strand) begin(c *line, q quicStream) {
	s.c, s.q = c, q
	s.fault, s.headed, s.expects, s.sent, s.stopped = nil, false, false, false, false
	s.out, s.ended, s.done = s.out[:0], false, nil
	if s.in == nil {
		s.in = make([]byte, strandBuffer)
	}
	s.r, s.w, s.eof, s.readErr, s.dataLeft, s.skipLeft, s.skipped, s.informed = 0, 0, false, nil, 0, 0, 0, 0
	s.nobody, s.tunnels, s.got, s.trailers = false, false, 0, false
	s.trailer.Reset(nil)
	s.body = strandBody{s: s}
}

// release gives the strand back. Nobody may know of it any more.
func (s *strand) release() {
	flow.Poison(s.head.arena[:cap(s.head.arena)])
	flow.Poison(s.in)
	if cap(s.out) > keptBuffer {
		s.out = nil
	}
	if cap(s.in) > keptBuffer {
		s.in = nil
	}
	if cap(s.head.arena) > keptBuffer {
		s.head.arena = nil
	}
	s.tail.arena = nil
	s.c, s.q, s.x, s.t, s.fault, s.done, s.readErr = nil, nil, nil, nil, nil, nil, nil
	strands.Put(s)
}

// fail ends the stream with a fault, the first one counting, from whatever
// goroutine.
func (s *strand) fail(fault *flow.Error) {
	s.mu.Lock()
	if s.fault == nil {
		s.fault = fault
	}
	s.stopped = true
	s.mu.Unlock()
	s.cut(wire.CodeCancelled)
}

// cut ends both directions.
func (s *strand) cut(e wire.Code) {
	s.q.CancelRead(quic.StreamErrorCode(e))
	s.q.CancelWrite(quic.StreamErrorCode(e))
}

// failed gives the fault that the stream was ended with by ourselves.
func (s *strand) failed() *flow.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// ClientLeft implements flow.Witness.
func (s *strand) ClientLeft() {
	s.fail(&flow.Error{Side: flow.SideClient, Phase: flow.PhaseHeaders, Cause: "client reset the stream"})
}

// Close ends the exchange from outside; see upstream.Flight.
func (s *strand) Close() error {
	s.mu.Lock()
	fault := endedOutside(s.headed)
	s.mu.Unlock()
	s.fail(fault)
	return nil
}

// fill reads more bytes behind those that are there; io.EOF: there are none, and will
// be none. What it gives is QUIC's error, of which broken makes a fault. QUIC can give
// bytes together with an error; that is kept until they are used up.
func (s *strand) fill() error {
	if s.eof {
		return io.EOF
	}
	if err := s.readErr; err != nil {
		s.readErr = nil
		return err
	}
	switch {
	case s.r == s.w:
		s.r, s.w = 0, 0
	case s.w < len(s.in):
	case s.r > 0:
		s.w = copy(s.in, s.in[s.r:s.w])
		s.r = 0
	default: // a frame that must be whole: its reader has looked at its length
		s.grow(2 * len(s.in))
	}
	n, err := s.q.Read(s.in[s.w:])
	s.w += n
	switch {
	case err == io.EOF:
		if s.eof = true; n == 0 {
			return io.EOF
		}
		return nil
	case n > 0:
		s.readErr = err
		return nil
	}
	return err
}

func (s *strand) grow(n int) {
	in := make([]byte, n)
	copy(in, s.in[:s.w])
	s.in = in
}

// broken gives an error of QUIC its meaning for the answer.
func (s *strand) broken(err error) *flow.Error {
	var cut *quic.StreamError
	var fault *flow.Error
	switch {
	case errors.As(err, &fault):
		return fault
	case s.failed() != nil:
		return s.failed()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s.late(err)
	case errors.As(err, &cut):
		return s.onReset(wire.Code(cut.ErrorCode))
	}
	return s.lost(err)
}

// late is a server that has said nothing for too long.
func (s *strand) late(err error) *flow.Error {
	if s.headed {
		return stalled()
	}
	return noAnswer(err)
}

// onReset is a stream that the server has cut (RFC 9114 §4.1.1). With
// H3_REQUEST_REJECTED it says that nothing was done about it, which is taken from a
// server only as long as it has not answered.
func (s *strand) onReset(e wire.Code) *flow.Error {
	code := uint32(codeToH2(e))
	if e == wire.CodeRejected && !s.headed && s.informed == 0 {
		return wasRefused(code)
	}
	return wasReset(s.headed, code)
}

// codeToH2 gives HTTP/3's code of a cut stream its like in HTTP/2, which is what
// flow.Reset has.
func codeToH2(e wire.Code) h2.Code {
	switch e {
	case wire.CodeNone:
		return h2.CodeNone
	case wire.CodeRejected:
		return h2.CodeRefused
	case wire.CodeCancelled:
		return h2.CodeCancel
	case wire.CodeLoad:
		return h2.CodeCalm
	case wire.CodeInternal:
		return h2.CodeInternal
	}
	return h2.CodeProtocol
}

// lost is what becomes of a stream whose connection broke. Nobody can tell what of
// the request the server has seen: there is no orderly end here that would say what
// was received (see conn.seen), a CONNECTION_CLOSE acknowledges nothing, and packets
// that were not acknowledged may have been read. Only what GOAWAY has told before is
// known not to be; see goesAway.
func (s *strand) lost(err error) *flow.Error {
	s.c.mu.Lock()
	failed := s.c.failed
	s.c.leave()
	s.c.mu.Unlock()
	fault := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "server closed before its answer", Err: err, Begun: true}
	var silent *quic.IdleTimeoutError
	switch {
	case failed != nil:
		*fault = *failed
	case errors.As(err, &silent):
		fault.Timeout, fault.Cause = true, "server gives no sign of life"
	case s.informed == 0:
		fault.Cause, fault.Empty = "empty answer", true
	}
	switch {
	case s.headed:
		fault.Phase, fault.Empty = flow.PhaseData, false
		if fault.Status == 0 {
			fault.Cause = "answer broke off"
		}
	case fault.Status == 0:
		fault.Stale = s.informed == 0 && !s.first && Repeatable(s.x.Req.Method)
	}
	return fault
}

// within gives reads the time d, 0 any. Whoever calls it from another goroutine than
// the reader's holds mu, and looks at headed: the reader sets deadlines of its own then.
func (s *strand) within(d time.Duration) {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	_ = s.q.SetReadDeadline(at)
}

// sentAll starts the clock of the answer.
func (s *strand) sentAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = true
	if !s.headed && !s.expects {
		s.within(s.t.FirstByte)
	}
}
