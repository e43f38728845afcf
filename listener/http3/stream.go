package http3

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// stream is one stream and its exchange. It comes from a pool and keeps its
// buffers. One goroutine reads it, and one writes; they may be the same.
type stream struct {
	c    *conn
	q    *quic.Stream
	at   int       // in c.open; c.mu guards it
	fc   flow.Conn // the connection as this exchange sees it: with a generation of its own
	x    flow.Exchange
	head multi.Head
	dec  wire.Decoder

	limits  flow.Limits
	fault   *flow.Error // what came is no request
	held    int         // bytes of the head, noted in c.held
	begun   int64       // when the first byte came
	tunnel  func(flow.Stream, []byte)
	readBy  atomic.Int64 // when waiting for the client has lasted too long, 0: never
	writeBy atomic.Int64

	// Of whoever reads:
	in         []byte
	r, w       int
	eof        bool  // the client has sent all of it
	readErr    error // what a read gave beside its bytes
	dataLeft   uint64
	got        int64 // of the body
	length     int64 // announced, -1: none was
	mark       mark  // where the body begins in in, while it still does
	trailers   bool  // the trailer section has been read
	tail       multi.Head
	trailer    flow.Header
	hasTrailer bool
	bodyErr    error

	closing sync.Mutex // guards closed and the deadline of reads with it
	closed  bool       // nobody wants the rest of the body

	received atomic.Int64 // bytes of the stream
	whole    atomic.Bool  // eof, for who does not read

	// Of whoever answers:
	out       []byte // kept back
	left      int64  // of a body that was announced, -1: none was
	nobody    bool   // the answer's body is not to be sent
	ended     bool   // our side has ended, or was cut
	answerErr error
	sent      int64  // bytes of the stream
	leave     *watch // nil: nobody waits to hear that the client has left
}

var streams = sync.Pool{New: func() any { return new(stream) }}

// firstBuffer holds the head and the small body of most requests.
const firstBuffer = 4 << 10

// largeBuffer is what a long body is read and relayed by.
const largeBuffer = 32 << 10

func (c *conn) newStream(q *quic.Stream) *stream {
	s := streams.Get().(*stream)
	s.c, s.q = c, q
	c.fc.Lend(&s.fc)
	s.fc.Client, s.fc.Peer, s.fc.TLS = c.client, c.client, c.tls.Load()
	if s.in == nil {
		s.in = make([]byte, firstBuffer)
	}
	s.head.Begin()
	s.fault, s.held, s.begun, s.tunnel = nil, 0, 0, nil
	s.r, s.w, s.eof, s.readErr, s.dataLeft, s.got, s.length, s.mark = 0, 0, false, nil, 0, 0, -1, mark{}
	s.trailers, s.hasTrailer, s.bodyErr, s.closed = false, false, nil, false
	s.out, s.left, s.nobody, s.ended, s.answerErr, s.sent = s.out[:0], -1, false, false, nil, 0
	s.leave = nil
	s.received.Store(0)
	s.whole.Store(false)
	s.readBy.Store(0)
	s.writeBy.Store(0)
	return s
}

// keptBuffer is the size up to which a stream's buffers are kept for others.
const keptBuffer = 16 << 10

// release gives the stream back. Nobody may know of it any more.
func (s *stream) release() {
	flow.Poison(s.head.Arena[:cap(s.head.Arena)])
	flow.Poison(s.in)
	if cap(s.in) > keptBuffer {
		s.in = nil
	}
	if cap(s.out) > keptBuffer {
		s.out = nil
	}
	if cap(s.head.Arena) > keptBuffer {
		s.head.Arena = nil
	}
	if cap(s.tail.Arena) > keptBuffer {
		s.tail.Arena = nil
	}
	s.c, s.q, s.x.Conn = nil, nil, nil
	s.fc.Forget()
	streams.Put(s)
}

// fill reads more bytes behind those that are there. What has been given is not
// kept, unless the body can be started over.
func (s *stream) fill() error {
	if s.eof {
		return io.EOF
	}
	if err := s.readErr; err != nil {
		s.readErr = nil
		return s.readFault(err)
	}
	s.space()
	n, err := s.q.Read(s.in[s.w:])
	s.w += n
	s.received.Add(int64(n))
	switch {
	case err == io.EOF:
		s.whole.Store(true)
		if s.eof = true; n == 0 {
			return io.EOF
		}
		return nil
	case n > 0:
		s.readErr = err
		return nil
	}
	return s.readFault(err)
}

// space makes room to read into.
func (s *stream) space() {
	switch {
	case s.w < len(s.in):
		if s.r == s.w && !s.mark.set {
			s.r, s.w = 0, 0
		}
	case s.mark.set && len(s.in) < largeBuffer:
		s.grow(largeBuffer)
	case s.r > 0:
		s.mark.set = false
		s.w = copy(s.in, s.in[s.r:s.w])
		s.r = 0
		if len(s.in) < largeBuffer {
			s.grow(largeBuffer) // it was filled: more is to be expected
		}
	default: // a frame that must be whole: its reader has looked at its length
		s.grow(2 * len(s.in))
	}
}

func (s *stream) grow(n int) {
	in := make([]byte, n)
	copy(in, s.in[:s.w])
	s.in = in
}

// readFault gives an error of QUIC its meaning.
func (s *stream) readFault(err error) error {
	var cut *quic.StreamError
	switch {
	case errors.As(err, &cut):
		s.c.charge(multi.CostReset)
		return multi.ErrReset
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return multi.Gone(err)
	}
	s.closing.Lock()
	closed := s.closed
	s.closing.Unlock()
	switch {
	case closed:
		return flow.ErrAborted
	case s.tunnel != nil:
		return os.ErrDeadlineExceeded
	}
	return multi.BrokeOff()
}

// stall is how long a wait for the client may last.
func (s *stream) stall() int64 {
	if s.x.Stall > 0 {
		return int64(s.x.Stall)
	}
	return int64(s.limits.Stall)
}

// await notes in by until when something is waited for; tunnels have deadlines of
// their own.
func (s *stream) await(by *atomic.Int64) {
	if stall := s.stall(); stall > 0 && s.tunnel == nil {
		by.Store(flow.Now() + stall)
	}
}

// expire wakes whoever has waited for too long.
func (s *stream) expire(now int64) {
	if by := s.readBy.Load(); by > 0 && now >= by {
		_ = s.q.SetReadDeadline(time.Unix(1, 0))
	}
	if by := s.writeBy.Load(); by > 0 && now >= by {
		_ = s.q.SetWriteDeadline(time.Unix(1, 0))
	}
}

// dead tells why nothing can be sent.
func (s *stream) dead() error {
	if s.ended || s.q.Context().Err() == nil {
		return nil
	}
	if s.c.ctx.Err() != nil {
		return multi.Gone(s.c.ctx.Err())
	}
	return multi.ErrReset
}

// refuse cuts what the client still sends, while somebody may be reading it.
func (s *stream) refuse(e wire.Code) {
	if !s.whole.Load() {
		s.q.CancelRead(quic.StreamErrorCode(e))
	}
}

// cut ends both directions.
func (s *stream) cut(e wire.Code) {
	s.unwatch()
	s.ended = true
	s.q.CancelRead(quic.StreamErrorCode(e))
	s.q.CancelWrite(quic.StreamErrorCode(e))
}
