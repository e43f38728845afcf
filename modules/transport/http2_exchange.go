package transport

import (
	"errors"
	"io"
	"os"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// exchange sends the request, whose head is in the buffer already, and takes the
// head of the final answer.
func (s *stream) exchange(x *flow.Exchange) *flow.Error {
	x.OnLeave(s)
	if x.Flight != nil {
		x.Flight.Carry(s)
	}
	fault := s.request()
	if fault == nil {
		fault = s.answer()
	}
	if fault == nil {
		s.answered()
		return nil
	}
	s.quit()
	x.Resp.Status, x.Resp.Reason, x.Resp.ContentLength = 0, nil, -1
	x.Resp.Header.Reset(nil)
	return fault
}

// quit lets go of the stream: nothing more is wanted of it.
func (s *stream) quit() {
	m := s.m
	m.mu.Lock()
	if !s.gone {
		s.cut(h2.CodeCancel)
		m.flush()
	}
	m.mu.Unlock()
	s.stops()
	s.parts()
	m.mu.Lock()
	s.unqueue()
	m.mu.Unlock()
	s.release()
}

// parts has nobody reach the stream from outside any more.
func (s *stream) parts() {
	s.x.OnLeave(nil)
	if s.x.Flight != nil {
		s.x.Flight.Carry(nil)
	}
}

// Close ends the exchange from outside; see upstream.Flight.
func (s *stream) Close() error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	fault := endedOutside(s.headed)
	s.cut(h2.CodeCancel)
	s.fail(fault)
	s.m.kick()
	return nil
}

// request sends what is there of the body along with the head; what must be waited
// for, be it for the client or for the server's windows, is left to a pump.
func (s *stream) request() *flow.Error {
	m, r := s.m, &s.x.Req
	if !r.HasBody() || s.tunnels {
		m.mu.Lock()
		s.sentAll()
		m.flush()
		m.mu.Unlock()
		return nil
	}
	ready, ok := r.Body.(interface{ Ready() bool })
	var rest []byte
	for ok && !r.Expect && len(rest) == 0 && ready.Ready() {
		p, err := r.Body.Next()
		if err != nil && err != io.EOF {
			return clientFault(err)
		}
		m.mu.Lock()
		n := s.offer(p)
		if rest = p[n:]; err == io.EOF {
			s.endRequest()
			m.flush()
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
	}
	m.mu.Lock()
	if r.Expect {
		s.expects = true
		s.readBy = s.until(expectLimit)
	}
	m.flush()
	m.mu.Unlock()
	s.done = make(chan struct{})
	go s.pump(rest)
	return nil
}

// clientFault is what becomes of a body that the client did not send to its end.
func clientFault(err error) *flow.Error {
	var fault *flow.Error
	if errors.As(err, &fault) {
		return fault
	}
	return &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Cause: "request body broke off", Err: err}
}

// endRequest ends our side, with the request's trailer if it has one; m.mu is held.
func (s *stream) endRequest() {
	if s.gone || s.reset || s.localEnded {
		return
	}
	if t := s.x.Req.Body.Trailer(); t != nil && trails(t) {
		s.sendTrailer(t)
	} else {
		s.endStream()
	}
	s.sentAll()
	s.localEnd()
}

// sentAll starts the clock of the answer; m.mu is held.
func (s *stream) sentAll() {
	if !s.headed && !s.expects {
		s.readBy = s.until(s.t.FirstByte)
	}
}

// pump sends the rest of the body: the second goroutine of an exchange, and only
// while a body is still on its way.
func (s *stream) pump(p []byte) {
	defer close(s.done)
	m, body := s.m, s.x.Req.Body
	ready, _ := body.(interface{ Ready() bool })
	for {
		more := ready != nil && ready.Ready() // asked without the lock: it is the client's side that answers
		m.mu.Lock()
		ok := s.sendAll(p)
		if ok && !more {
			m.flush()
		}
		m.mu.Unlock()
		if !ok {
			return
		}
		var err error
		if p, err = body.Next(); err == nil {
			continue
		}
		m.mu.Lock()
		if err == io.EOF {
			if s.sendAll(p) {
				s.endRequest()
			}
		} else if !s.stopped {
			fault := clientFault(err)
			s.cut(h2.CodeCancel)
			s.fail(fault)
		}
		m.flush()
		m.mu.Unlock()
		return
	}
}

// answer waits for the head of the final answer, and passes interim ones on.
func (s *stream) answer() *flow.Error {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		switch {
		case len(s.interims) > 0:
			if fault := s.inform(); fault != nil {
				return fault
			}
		case s.headed:
			return nil
		case s.fault != nil:
			return s.fault
		case overdue(s.readBy) && s.expects:
			// The server says nothing, and the client may wait for it to:
			// RFC 9110 §10.1.1 has servers that do not know of Expect.
			if fault := s.goOn(); fault != nil {
				return fault
			}
		case overdue(s.readBy):
			return noAnswer(os.ErrDeadlineExceeded)
		default:
			s.wait()
		}
	}
}

// goOn tells the client to send its body; m.mu is held, and let go of meanwhile.
func (s *stream) goOn() (fault *flow.Error) {
	s.expects, s.readBy = false, 0
	if s.localEnded {
		s.sentAll()
	}
	if !s.x.Req.Expect {
		return nil
	}
	s.m.mu.Unlock()
	defer s.m.mu.Lock()
	if err := s.x.Inform(100, nil); err != nil {
		return clientFault(err)
	}
	return nil
}

// inform passes an interim answer on, a 100 only to who asked for it and has not
// had one (RFC 9110 §15.2); m.mu is held, and let go of meanwhile.
func (s *stream) inform() *flow.Error {
	i := s.interims[0]
	s.interims = s.interims[:copy(s.interims, s.interims[1:])]
	if s.expects {
		s.expects, s.readBy = false, 0
		if s.localEnded {
			s.sentAll()
		}
	}
	if i.status == 100 && !s.x.Req.Expect {
		return nil
	}
	s.m.mu.Unlock()
	defer s.m.mu.Lock()
	if err := s.x.Inform(i.status, &i.header); err != nil {
		return clientFault(err)
	}
	return nil
}

// answered fills in the answer's head, and readies its body for the relay.
func (s *stream) answered() {
	x, h := s.x, &s.head
	x.Record.Timings.Answer = flow.Now()
	r := &x.Resp
	r.Status, r.Reason, r.ContentLength, r.Upgrade = s.status, nil, h.length, nil
	r.Header, h.fields = h.fields, r.Header
	r.Header.Rebase(h.arena)
	s.m.mu.Lock()
	s.readBy = 0
	whole := s.remoteEnded && len(s.in) == 0
	s.m.mu.Unlock()
	switch {
	case s.tunnels && s.status/100 == 2:
		switched(x, r)
	case s.nobody: // a length may be announced to HEAD
		if flow.BodyAllowed(x.Req.Method, r.Status) {
			r.ContentLength = 0
		}
	case whole && h.length < 0 && x.Req.Major < 2:
		r.ContentLength = 0 // others see the end with the head, as it came
	}
	r.Body = &s.body
}
