package http3

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// errNoRequest tells that a stream ended, in whatever way, before it had become
// a request: nobody is to be answered.
var errNoRequest = errors.New("http3: no request")

// errSlowHead is the fault of a head that is not complete in time.
var errSlowHead = &flow.Error{Side: flow.SideClient, Phase: flow.PhaseRequest, Timeout: true, Cause: "request head took too long"}

// request reads the head and makes the exchange's request of it, or a fault.
func (s *stream) request() error {
	if limit := s.limits.Header; limit > 0 {
		s.readBy.Store(flow.Now() + int64(limit))
	}
	p, err := s.headFrame()
	s.readBy.Store(0)
	if err != nil && s.fault == nil {
		return err
	}
	x := &s.x
	x.Begin(&s.fc, s)
	r := &x.Record
	r.Start, r.Client, r.Local, r.ConnID, r.TLS = time.Now(), s.fc.Client, s.fc.Local, s.fc.ID, true
	r.Timings.Accept, r.Timings.FirstByte = flow.At(s.fc.Accepted), max(s.begun, 1)
	r.Timings.Head = flow.At(r.Start)
	r.Version = "HTTP/3.0"
	x.Req.Major, x.Req.Minor = 3, 0
	x.Req.Early = !s.c.shaken.Load()
	if s.fault != nil {
		return nil //nolint:nilerr // the fault is answered, as an exchange
	}
	if err := s.decode(&s.head, p, false); err != nil {
		s.c.abandon(wire.CodeCompression)
		return err
	}
	if len(s.in) > firstBuffer && s.r == s.w { // a long section, whose fields have been copied
		s.in, s.r, s.w, s.dec = make([]byte, firstBuffer), 0, 0, wire.Decoder{}
	}
	s.awaitEnd()
	s.head.Request(x, s.eof && s.r == s.w)
	s.length = s.head.Length
	if s.fault = s.head.Err; s.fault == nil {
		s.body()
	}
	s.hold()
	return nil
}

// headFrame reads up to the end of the first HEADERS frame and gives what is in
// it.
func (s *stream) headFrame() ([]byte, error) {
	for {
		kind, size, err := s.frameHead()
		if s.begun == 0 {
			s.begun = flow.Now()
		}
		switch {
		case err == io.EOF && s.r < s.w:
			s.c.abandon(wire.CodeFrame)
			return nil, errNoRequest
		case err == io.EOF: // RFC 9114 §4.1: incomplete
			s.cut(wire.CodeIncomplete)
			s.c.charge(multi.CostMalformed)
			return nil, errNoRequest
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.fault = errSlowHead
			_ = s.q.SetReadDeadline(time.Time{})
			return nil, err
		case err != nil:
			return nil, errNoRequest
		}
		switch {
		case kind == wire.FrameHeaders:
			p, err := s.section(size)
			if err == errNoRoom { // nobody has seen it: the client may ask again
				s.cut(wire.CodeRejected)
				s.c.charge(multi.CostReset)
			}
			return p, err
		case known(kind): // DATA before HEADERS, and what has no place here
			s.c.abandon(wire.CodeUnexpected)
			return nil, errNoRequest
		}
		if err := s.skip(size); err != nil {
			return nil, errNoRequest
		}
	}
}

// known reports the frame types that mean something; all others are passed over
// (RFC 9114 §9).
func known(kind uint64) bool {
	return kind <= wire.FrameGoAway || kind == wire.FrameMaxPush || wire.Foreign(kind)
}

// frameHead reads the head of the next frame; io.EOF: the stream ends before it,
// or in it.
func (s *stream) frameHead() (kind, size uint64, err error) {
	for {
		kind, size, n := wire.ParseFrame(s.in[s.r:s.w])
		if n > 0 {
			s.r += n
			return kind, size, nil
		}
		if err := s.fill(); err != nil {
			return 0, 0, err
		}
	}
}

// errNoRoom tells that the connection's streams hold as much of heads as they may.
var errNoRoom = errors.New("http3: no room for a head")

// section reads an encoded field section, which stays in s.in.
func (s *stream) section(size uint64) ([]byte, error) {
	if size > uint64(2*s.limits.HeadBytes) { // Huffman saves less than that
		s.fault = multi.ErrTooLarge
		s.c.charge(multi.CostMalformed)
		return nil, errNoRequest
	}
	if !s.fit(int(size)) {
		return nil, errNoRoom
	}
	for uint64(s.w-s.r) < size {
		switch err := s.fill(); {
		case err == io.EOF: // RFC 9114 §7.1
			s.c.abandon(wire.CodeFrame)
			return nil, errNoRequest
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.fault = errSlowHead
			_ = s.q.SetReadDeadline(time.Time{})
			return nil, err
		case err != nil:
			return nil, errNoRequest
		}
	}
	p := s.in[s.r : s.r+int(size)]
	s.r += int(size)
	return p, nil
}

// skip passes over a frame of a type that means nothing.
func (s *stream) skip(size uint64) error {
	if !s.c.charge(multi.CostFrame + int64(min(size, 1<<20)/(4<<10))) {
		return errNoRequest
	}
	for {
		n := min(uint64(s.w-s.r), size)
		s.r += int(n)
		if size -= n; size == 0 {
			return nil
		}
		switch err := s.fill(); {
		case err == io.EOF:
			s.c.abandon(wire.CodeFrame)
			return errNoRequest
		case err != nil:
			return err
		}
	}
}

// decode takes the fields of a section into h; its error is the connection's
// (RFC 9204 §2.2). A head at fault is not read to its end.
func (s *stream) decode(h *multi.Head, p []byte, trailer bool) error {
	if err := s.dec.Begin(p); err != nil {
		return err
	}
	for s.dec.More() && h.Err == nil {
		at := len(h.Arena)
		arena, n, err := s.dec.Next(h.Arena)
		h.Arena = arena
		if err != nil {
			return err
		}
		name, value := arena[at:at+n], arena[at+n:]
		h.Took(&s.limits, trailer, multi.Field{At: at, Name: n, ID: flow.LookupBytes(name), Good: multi.Good(name, value)})
	}
	return nil
}

// endWait is how long the end of a request is waited for that has no body by its
// kind: a client may send it in a packet of its own.
const endWait = 50 * time.Millisecond

// awaitEnd waits for a moment for the end of a request that will have no body,
// but has not said so.
func (s *stream) awaitEnd() {
	if s.eof || s.r < s.w || s.head.Err != nil || !s.head.Bodiless() {
		return
	}
	_ = s.q.SetReadDeadline(time.Now().Add(endWait))
	if err := s.fill(); err != nil && err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.readErr = err
	}
	_ = s.q.SetReadDeadline(time.Time{})
}

// body settles what the request's body is, of what has come of it so far.
func (s *stream) body() {
	r := &s.x.Req
	if len(r.Upgrade) > 0 || r.Method == "CONNECT" {
		return // what comes is the tunnel's
	}
	sum, frames, whole := s.survey()
	if sum == 0 && !s.c.charge(multi.CostFrame*frames) { // nobody will read them
		s.fault = multi.BadHead("frames that carry nothing")
		return
	}
	switch {
	case s.length >= 0 && (sum > s.length || whole && sum != s.length):
		s.fault = multi.BadHead("body differs from its content-length")
		return
	case whole && !s.surveyTrailer():
		if r.ContentLength = sum; sum == 0 {
			r.Expect = false
		}
	}
	if r.ContentLength != 0 {
		s.mark = mark{set: true, r: s.r}
		r.Body = (*body)(s)
	}
}

// survey sums the DATA frames that have begun to arrive, and counts frames; whole:
// there will be no other ones of DATA.
func (s *stream) survey() (sum, frames int64, whole bool) {
	for p := s.in[s.r:s.w]; ; {
		kind, size, n := wire.ParseFrame(p)
		switch {
		case n == 0:
			return sum, frames, s.eof && len(p) == 0
		case kind == wire.FrameData:
			sum += int64(min(size, 1<<60))
		case kind == wire.FrameHeaders:
			return sum, frames, s.eof
		}
		if size > uint64(len(p)-n) || sum < 0 || sum > 1<<60 {
			return sum, frames, false
		}
		frames++
		p = p[n+int(size):]
	}
}

// surveyTrailer reports whether there is more than DATA in what has arrived.
func (s *stream) surveyTrailer() bool {
	for p := s.in[s.r:s.w]; len(p) > 0; {
		kind, size, n := wire.ParseFrame(p)
		if n == 0 || kind != wire.FrameData || size > uint64(len(p)-n) {
			return true
		}
		p = p[n+int(size):]
	}
	return false
}

// fit makes room for a section, and no more than it needs; false: the connection has
// no such room. It counts before the section has come: clients may begin many.
func (s *stream) fit(size int) bool {
	switch {
	case s.r+size <= len(s.in):
		return true
	case size <= len(s.in):
		s.w = copy(s.in, s.in[s.r:s.w])
	default:
		s.c.mu.Lock()
		full := s.c.held > headBudget
		if !full {
			s.held += 2 * size // the section, and the fields that become of it
			s.c.held += 2 * size
		}
		s.c.mu.Unlock()
		if full {
			return false
		}
		in := make([]byte, size)
		s.w = copy(in, s.in[s.r:s.w])
		s.in = in
	}
	s.r, s.mark.set = 0, false
	return true
}

// hold notes what the head holds of the connection's budget of memory.
func (s *stream) hold() {
	held := cap(s.head.Arena) + max(0, len(s.in)-firstBuffer)
	s.c.mu.Lock()
	s.c.held += held - s.held
	s.held = held
	s.c.mu.Unlock()
}
