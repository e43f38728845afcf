package transport

import (
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// stream is one exchange on an HTTP/2 connection. It comes from a pool and keeps
// its buffers.
type stream struct {
	m    *mux
	id   uint32
	x    *flow.Exchange
	t    *upstream.Timeouts
	cond sync.Cond // of m.mu
	at   int64     // bytes that the connection had sent before its head

	// Guarded by m.mu:
	fault       *flow.Error // why nothing more comes
	left        bool        // the client has gone
	closed      bool        // the answer is not wanted any more
	localEnded  bool
	remoteEnded bool
	reset       bool // either side has cut it
	gone        bool // not in m.open any more
	interims    []interim
	informed    int  // interim answers so far
	headed      bool // the final head is there
	expects     bool // the server is given expectLimit to speak
	nobody      bool // the answer has no body
	tunnels     bool // the stream is one of bytes
	status      int
	head        head  // the final answer's
	got         int64 // of the body
	in          []byte
	recvWindow  int // what the server may still send
	owed        int // of it, consumed and not given back
	trailer     flow.Header
	window      int64 // what we may send
	lastAt      int   // where its last frame begins in m.out,
	lastGen     uint32
	queued      bool  // in m.blocked
	readBy      int64 // when the wait for the server's word ends, 0: never
	writeBy     int64 // the same of the wait for it to take ours
	stopped     bool  // the request is not to be sent any further

	// Of the exchange:
	done chan struct{} // the pump's; nil without
	body muxBody
}

// interim is an answer before the final one.
type interim struct {
	status int
	header flow.Header
}

var streams = sync.Pool{New: func() any { return new(stream) }}

// take opens a stream and puts its head into the buffer; nil if there is no room.
func (m *mux) take(x *flow.Exchange, srv *upstream.Server) (*stream, *flow.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.hasRoom() {
		return nil, nil
	}
	if len(x.Req.Upgrade) > 0 && !m.extended {
		return nil, noTunnels()
	}
	s := streams.Get().(*stream)
	s.begin(m)
	s.x, s.t = x, &srv.Timeouts
	m.open = append(m.open, s)
	if now := flow.Now(); now-m.lastIn > pingAfter {
		m.ping(now)
	}
	s.sendHead(srv.Dial)
	return s, nil
}

// begin readies a stream; m.mu is held.
func (s *stream) begin(m *mux) {
	s.m, s.id, s.at = m, m.nextID, m.written
	m.nextID += 2
	s.cond.L = &m.mu
	s.fault, s.left, s.closed, s.localEnded, s.remoteEnded, s.reset, s.gone = nil, false, false, false, false, false, false
	s.interims, s.informed, s.headed, s.expects, s.nobody, s.tunnels, s.status = s.interims[:0], 0, false, false, false, false, 0
	s.got, s.in, s.recvWindow, s.owed = 0, s.in[:0], streamWindow, 0
	s.trailer.Reset(nil)
	s.window, s.lastAt, s.lastGen, s.queued = m.initial, 0, m.outGen-1, false
	s.readBy, s.writeBy, s.stopped, s.done = 0, 0, false, nil
	s.body.begin(s)
}

// keptBuffer is the size up to which a stream's buffers are kept for others.
const keptBuffer = 64 << 10

// release gives the stream back. Nobody may know of it any more.
func (s *stream) release() {
	flow.Poison(s.head.arena[:cap(s.head.arena)])
	flow.Poison(s.in[:cap(s.in)])
	flow.Poison(s.body.view[:cap(s.body.view)])
	if cap(s.in) > keptBuffer {
		s.in = nil
	}
	if cap(s.body.view) > keptBuffer {
		s.body.view = nil
	}
	if cap(s.head.arena) > keptBuffer {
		s.head.arena = nil
	}
	clear(s.interims)
	s.m, s.x, s.t, s.fault, s.done = nil, nil, nil, nil, nil
	streams.Put(s)
}

// find gives an open stream; mu is held.
func (m *mux) find(id uint32) *stream {
	for i := len(m.open) - 1; i >= 0; i-- {
		if m.open[i].id == id {
			return m.open[i]
		}
	}
	return nil
}

// remove takes a stream out of the open ones; mu is held.
func (m *mux) remove(s *stream) {
	if !s.gone {
		s.gone = true
		for i, o := range m.open {
			if o == s {
				last := len(m.open) - 1
				m.open[i], m.open[last] = m.open[last], nil
				m.open = m.open[:last]
				break
			}
		}
		if len(m.open) == 0 {
			m.idleSince = flow.Now()
			m.alarm(m.idleSince + m.idleFor/2)
			m.finish()
		}
	}
	s.cond.Broadcast()
}

// localEnd and remoteEnd note that a side has ended; m.mu is held.
func (s *stream) localEnd() {
	s.localEnded = true
	if s.remoteEnded {
		s.m.remove(s)
	}
}

func (s *stream) remoteEnd() {
	s.remoteEnded = true
	s.cond.Broadcast()
	if s.localEnded {
		s.m.remove(s)
	}
}

// cut resets the stream; m.mu is held.
func (s *stream) cut(e h2.Code) {
	if s.reset || s.gone || s.m.failed != nil {
		return
	}
	s.reset = true
	s.m.out = h2.AppendReset(s.m.out, s.id, e)
	s.m.remove(s)
}

// fail ends a stream with a fault, the first one counting; m.mu is held.
func (s *stream) fail(fault *flow.Error) {
	if s.fault == nil {
		s.fault = fault
	}
	s.stopped = true
	s.cond.Broadcast()
}

// lost is what becomes of a stream whose connection broke; acked is how many bytes
// the server's kernel has acknowledged, -1 if that cannot be told. m.mu is held.
func (s *stream) lost(why *flow.Error, acked int64) {
	if s.remoteEnded { // the answer is whole, how the request ended matters no more
		s.stopped = true
		s.cond.Broadcast()
		return
	}
	fault := *why
	switch {
	case s.headed:
		fault.Phase, fault.Begun = flow.PhaseData, true
		if fault.Status == 0 {
			fault.Cause = "answer broke off"
		}
	case fault.Status != 0: // what came was no answer
	default:
		if !fault.Timeout {
			fault.Cause = "server closed before its answer"
		}
		if s.informed == 0 && !fault.Timeout {
			fault.Cause, fault.Empty = "empty answer", true
		}
		// What is being written right now is not in written yet.
		fault.Begun = s.informed > 0 || s.m.writing || s.m.written > s.at && (acked < 0 || acked > s.at+1)
		fault.Stale = s.informed == 0 && s.id > 1 && (!fault.Begun || Repeatable(s.x.Req.Method))
	}
	s.fail(&fault)
}

// ClientLeft implements flow.Witness.
func (s *stream) ClientLeft() {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	s.left = true
	s.fail(&flow.Error{Side: flow.SideClient, Phase: flow.PhaseHeaders, Cause: "client reset the stream"})
}

// wait waits for a change; it does not look at deadlines, but returns when one has
// passed. m.mu is held.
func (s *stream) wait() { s.cond.Wait() }

// overdue reports whether the moment has passed, 0 being none.
func overdue(at int64) bool { return at > 0 && flow.Now() >= at }

// stops ends a pump that is still going, and waits for it.
func (s *stream) stops() {
	if s.done == nil {
		return
	}
	select {
	case <-s.done:
	default:
		s.m.mu.Lock()
		s.stopped = true
		s.cond.Broadcast()
		s.m.mu.Unlock()
		_ = s.x.Req.Body.Close()
		<-s.done
	}
	s.done = nil
}

// settles waits a moment for a pump that has only to end: a server can have
// answered the last byte before the goroutine that sent it runs again.
func (s *stream) settles() {
	if s.done == nil {
		return
	}
	t := time.NewTimer(lastWrite)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
	}
}
