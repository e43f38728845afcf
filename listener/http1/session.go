package http1

import (
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
)

// session is what a connection needs only while an exchange goes on.
type session struct {
	buf     []byte // what was read: [r:w) is unparsed, or the body
	r, w    int
	scanned int // of buf[r:], looked through for the head's end
	in      int64
	firstAt time.Time
	first   int64 // first byte of the request at hand
	x       flow.Exchange
	hd      wire.Head
	body    body
	answer  answer
}

const (
	// headBuffer fits the head and body of nearly every request; it grows
	// up to the limit for the others.
	headBuffer = 16 << 10
	// bodyBuffer is for bodies that do not fit beside their head.
	bodyBuffer = 32 << 10
	// outBuffer holds an answer's head and a small body.
	outBuffer = 8 << 10
)

var sessions = sync.Pool{New: func() any {
	return &session{buf: make([]byte, headBuffer), answer: answer{out: make([]byte, 0, outBuffer)}}
}}

var bodyBuffers = sync.Pool{New: func() any { return new([bodyBuffer]byte) }}

// borrow gives the connection's session, with room to read into.
func (c *conn) borrow() *session {
	if c.s == nil {
		c.s = sessions.Get().(*session)
	}
	s := c.s
	if s.w == len(s.buf) {
		s.makeRoom(c.limits.HeadBytes)
	}
	return s
}

// makeRoom moves what is unparsed to the front, or grows the buffer. The
// callers have made sure that no exchange borrows from it.
func (s *session) makeRoom(limit int) {
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
		return
	}
	bigger := make([]byte, min(2*len(s.buf), max(limit, headBuffer)+headBuffer))
	copy(bigger, s.buf[:s.w])
	s.buf = bigger
}

// giveBack returns an idle connection's session.
func (c *conn) giveBack() {
	s := c.s
	if s == nil {
		return
	}
	c.s = nil
	s.r, s.w, s.scanned, s.in = 0, 0, 0, 0
	s.x.Conn = nil
	if len(s.buf) > headBuffer {
		s.buf = make([]byte, headBuffer) // a large one is not kept for small requests
	}
	sessions.Put(s)
}
