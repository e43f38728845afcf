package http2

import (
	"sync"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// stream is one stream and its exchange. It comes from a pool and keeps its
// buffers.
type stream struct {
	c    *conn
	id   uint32
	fc   flow.Conn // the connection as this exchange sees it: with a generation of its own
	x    flow.Exchange
	head multi.Head
	cond sync.Cond // of c.mu

	fault     *flow.Error // what came is no request
	tunnel    func(flow.Stream, []byte)
	received  int64 // bytes of its frames
	left      int64 // of an answer with a length
	nobody    bool  // the answer's body is not to be sent
	answerErr error

	// Guarded by c.mu:
	served      bool // its exchange has begun
	remoteEnded bool
	localEnded  bool
	reset       bool // either side has cut it
	gone        bool // not in c.open any more
	bodyErr     *flow.Error
	bodyClosed  bool
	in          []byte // of the body, not asked for yet
	length      int64  // announced, -1: none was
	got         int64  // of the body
	recvWindow  int    // what the client may still send
	owed        int    // of it, consumed and not given back
	trailer     flow.Header
	hasTrailer  bool
	window      int64 // what we may send
	sent        int64 // bytes of frames
	lastAt      int   // where its last frame begins in c.out,
	lastGen     uint32
	queued      bool // in c.blocked
	witness     flow.Witness
	reading     bool  // somebody waits for the body
	writing     bool  // somebody waits to send
	readBy      int64 // until when, 0: for ever
	writeBy     int64

	// Of whoever reads the body:
	view  []byte // lent
	vr    int    // of it, given
	views int
	due   int // bytes of view whose window is still to be given back
}

var streams = sync.Pool{New: func() any { return new(stream) }}

func (c *conn) newStream(id uint32) *stream {
	s := streams.Get().(*stream)
	s.c, s.id = c, id
	s.cond.L = &c.mu
	c.fc.Lend(&s.fc)
	s.head.Begin()
	s.fault, s.tunnel, s.received, s.left, s.nobody, s.answerErr = nil, nil, 0, -1, false, nil
	s.served, s.remoteEnded, s.localEnded, s.reset, s.gone = false, false, false, false, false
	s.bodyErr, s.bodyClosed, s.length, s.got, s.recvWindow, s.owed = nil, false, -1, 0, c.window, 0
	s.hasTrailer, s.window, s.sent, s.lastAt, s.lastGen = false, c.initial, 0, 0, c.outGen-1
	s.queued, s.reading, s.writing, s.readBy, s.writeBy, s.witness = false, false, false, 0, 0, nil
	s.in, s.view, s.vr, s.views, s.due = s.in[:0], s.view[:0], 0, 0, 0
	return s
}

// keptBuffer is the size up to which a stream's buffers are kept for others.
const keptBuffer = 16 << 10

// release gives the stream back. Nobody may know of it any more.
func (s *stream) release() {
	flow.Poison(s.head.Arena[:cap(s.head.Arena)])
	flow.Poison(s.in[:cap(s.in)])
	flow.Poison(s.view[:cap(s.view)])
	if cap(s.in) > keptBuffer {
		s.in = nil
	}
	if cap(s.view) > keptBuffer {
		s.view = nil
	}
	if cap(s.head.Arena) > keptBuffer {
		s.head.Arena = nil
	}
	s.c, s.x.Conn = nil, nil
	s.fc.Forget()
	streams.Put(s)
}

// find gives an open stream; c.mu is held.
func (c *conn) find(id uint32) *stream {
	for i := len(c.open) - 1; i >= 0; i-- {
		if c.open[i].id == id {
			return c.open[i]
		}
	}
	return nil
}

// remove takes a stream out of the open ones; c.mu is held.
func (c *conn) remove(s *stream, ours bool) {
	if s.gone {
		return
	}
	s.gone = true
	for i, o := range c.open {
		if o == s {
			last := len(c.open) - 1
			c.open[i], c.open[last] = c.open[last], nil
			c.open = c.open[:last]
			break
		}
	}
	c.closed.add(s.id, ours)
	s.cond.Broadcast()
}

// bereave wakes who waits on the stream and tells its witness; c.mu is held.
func (s *stream) bereave() {
	s.cond.Broadcast()
	if s.witness != nil {
		s.witness.ClientLeft()
	}
}

// localEnd and remoteEnd note that a side has ended; c.mu is held.
func (s *stream) localEnd() {
	s.localEnded = true
	if s.remoteEnded {
		s.c.remove(s, false)
	}
}

func (s *stream) remoteEnd() {
	s.remoteEnded = true
	s.cond.Broadcast()
	if s.localEnded {
		s.c.remove(s, false)
	}
}

// cut resets the stream; c.mu is held.
func (s *stream) cut(e h2.Code) {
	if s.reset {
		return
	}
	s.reset = true
	s.c.out = h2.AppendReset(s.c.out, s.id, e)
	s.sent += h2.FrameHead + 4
	s.c.remove(s, true)
}

// dead tells why nothing can be sent; c.mu is held.
func (s *stream) dead() error {
	switch {
	case s.c.failed != nil:
		return s.c.failed
	case s.reset:
		return multi.ErrReset
	}
	return nil
}

// until is when a wait for the client ends; 0: never.
func (s *stream) until() int64 {
	stall := int64(s.c.limits.Stall)
	if s.x.Stall > 0 {
		stall = int64(s.x.Stall)
	}
	switch {
	case s.tunnel != nil:
		return s.writeBy // whoever runs the tunnel has set it
	case stall > 0:
		return flow.Now() + stall
	}
	return 0
}

// late reports whether somebody has waited for too long; c.mu is held.
func (s *stream) late(now int64) bool {
	return s.reading && s.readBy > 0 && now >= s.readBy || s.writing && s.writeBy > 0 && now >= s.writeBy
}

// await waits for room to send; queue tells that it is not the stream's own
// window that lacks it. c.mu is held.
func (s *stream) await(queue bool) error {
	if s.writeBy > 0 && flow.Now() >= s.writeBy {
		return multi.TakesNothing()
	}
	if queue && !s.queued {
		s.queued = true
		s.c.blocked = append(s.c.blocked, s)
	}
	s.writing = true
	s.cond.Wait()
	s.writing = false
	return nil
}

// unqueue forgets that the stream waits; c.mu is held.
func (s *stream) unqueue() {
	if !s.queued {
		return
	}
	s.queued = false
	for i, o := range s.c.blocked {
		if o == s {
			s.c.blocked = append(s.c.blocked[:i], s.c.blocked[i+1:]...)
			return
		}
	}
}

// ring remembers the streams that were closed last, so that what comes for them
// is told from what never was.
type ring struct {
	ids [128]uint32
	n   uint32
}

const oursBit = 1 << 31

func (r *ring) add(id uint32, ours bool) {
	if ours {
		id |= oursBit
	}
	r.ids[r.n%uint32(len(r.ids))] = id
	r.n++
}

// has tells whether a stream was closed lately, and whether by our reset.
func (r *ring) has(id uint32) (closed, ours bool) {
	for i := range r.ids {
		if v := r.ids[i]; v&^oursBit == id {
			return true, v&oursBit != 0
		}
	}
	return false, false
}
