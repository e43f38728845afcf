package transport

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// exchange sends the request and takes the head of the final answer.
func (s *strand) exchange(dial string) *flow.Error {
	x := s.x
	x.OnLeave(s)
	if x.Flight != nil {
		x.Flight.Carry(s)
	}
	fault := s.request(dial)
	if fault == nil {
		fault = s.answer()
	}
	if fault == nil {
		s.answered()
		return nil
	}
	s.quit(false)
	x.Resp.Status, x.Resp.Reason, x.Resp.ContentLength = 0, nil, -1
	x.Resp.Header.Reset(nil)
	return fault
}

// quit lets go of the stream; whole tells that its answer came to its end.
func (s *strand) quit(whole bool) {
	if !whole {
		s.q.CancelRead(quic.StreamErrorCode(wire.CodeCancelled))
	}
	s.stops()
	s.leaves()
	s.c.remove(s)
	s.release()
}

// stops ends a pump that is still going, waits for it, and ends our side. The pump may
// be waiting for the client or for the server: the one wait ends with the body, which
// is closed, the other with a deadline that has passed.
func (s *strand) stops() {
	if s.done != nil {
		select {
		case <-s.done:
		default:
			s.mu.Lock()
			s.stopped = true
			s.mu.Unlock()
			_ = s.q.SetWriteDeadline(time.Unix(1, 0))
			_ = s.x.Req.Body.Close()
			<-s.done
		}
		s.done = nil
	}
	if !s.ended {
		s.ended = true
		s.q.CancelWrite(quic.StreamErrorCode(wire.CodeCancelled))
	}
}

// leaves has nobody reach the stream from outside any more.
func (s *strand) leaves() {
	s.x.OnLeave(nil)
	if s.x.Flight != nil {
		s.x.Flight.Carry(nil)
	}
}

// request sends the head, and what is there of the body along with it, in as few
// packets as it takes; the rest is left to a pump.
func (s *strand) request(dial string) *flow.Error {
	r := &s.x.Req
	s.appendHead(dial)
	if !r.HasBody() || s.tunnels {
		return s.sendOnly(!s.tunnels)
	}
	ready, ok := r.Body.(interface{ Ready() bool })
	for ok && !r.Expect && len(s.out) < gatherLimit && ready.Ready() {
		p, err := r.Body.Next()
		if err != nil && err != io.EOF {
			return clientFault(err)
		}
		s.appendData(p)
		if err == io.EOF {
			s.appendTrailer()
			return s.sendOnly(true)
		}
	}
	if r.Expect {
		s.expects = true
		s.within(expectLimit)
	}
	s.done = make(chan struct{})
	go s.pump()
	return nil
}

func (s *strand) appendData(p []byte) {
	if len(p) > 0 {
		s.out = append(wire.AppendFrame(s.out, wire.FrameData, uint64(len(p))), p...)
	}
}

// sendOnly sends what is there, and ends our side if that is all.
func (s *strand) sendOnly(all bool) *flow.Error {
	more, fault := s.write(s.out)
	if fault != nil {
		return fault
	}
	if all && more {
		s.end()
	}
	s.sentAll()
	return nil
}

// end ends our side.
func (s *strand) end() {
	s.ended = true
	_ = s.q.Close()
}

// write hands bytes to QUIC; progress within the stall timeout counts. more is false
// when the server takes nothing further: what it says decides.
func (s *strand) write(p []byte) (more bool, fault *flow.Error) {
	for len(p) > 0 {
		part := p[:min(len(p), strandLarge)]
		if d := s.t.Stall; d > 0 {
			_ = s.q.SetWriteDeadline(time.Now().Add(d))
			s.mu.Lock()
			stopped := s.stopped
			s.mu.Unlock()
			if stopped { // whose deadline it would have overwritten
				return false, nil
			}
		}
		_, err := s.q.Write(part)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false, notTaken()
		}
		if err != nil {
			return false, nil //nolint:nilerr // the server's word, which is to come, says what is wrong
		}
		p = p[len(part):]
	}
	return true, nil
}

// pump sends the rest of the body: the second goroutine of an exchange, and only
// while a body is still on its way. What breaks it is left as the exchange's fault,
// except for a server that takes nothing further: its answer is on the way, or its
// reset.
func (s *strand) pump() {
	defer close(s.done)
	body := s.x.Req.Body
	ready, ok := body.(interface{ Ready() bool })
	for {
		var err error
		for err == nil && (len(s.out) == 0 || ok && len(s.out) < gatherLimit && ready.Ready()) {
			var p []byte
			p, err = body.Next()
			s.appendData(p)
		}
		if err == io.EOF {
			s.appendTrailer()
		}
		more, fault := s.write(s.out)
		s.out = s.out[:0]
		s.mu.Lock()
		stopped := s.stopped
		s.mu.Unlock()
		switch {
		case stopped:
			return
		case fault != nil:
			s.fail(fault)
			return
		case err != nil && err != io.EOF:
			s.fail(clientFault(err))
			return
		case !more:
			s.sentAll()
			return
		case err == io.EOF:
			s.end()
			s.sentAll()
			return
		}
	}
}

// answer waits for the head of the final answer, and passes interim ones on.
func (s *strand) answer() *flow.Error {
	for {
		p, err := s.headFrame()
		if err != nil {
			if s.unasked(err) {
				if fault := s.goOn(true); fault != nil {
					return fault
				}
				continue
			}
			return s.broken(err)
		}
		h := &s.head
		if fault := s.decode(h, p); fault != nil {
			return fault
		}
		switch {
		case h.large:
			return s.tooLarge()
		case h.bad || h.status == 0 || h.status == 101 || h.status < 200 && s.eof && s.r == s.w:
			return s.malformed()
		case h.status >= 200:
			return s.onFinal()
		}
		if s.informed++; s.informed > maxInterim {
			return invalidAnswer(errInterim)
		}
		if fault := s.goOn(false); fault != nil {
			return fault
		}
		if h.status == 100 && !s.x.Req.Expect { // RFC 9110 §15.2: nobody has asked, or has had one
			continue
		}
		h.fields.Rebase(h.arena)
		if err := s.x.Inform(h.status, &h.fields); err != nil {
			return clientFault(err)
		}
	}
}

// unasked reports whether a read met no more than the deadline of a server's word on
// an expectation.
func (s *strand) unasked(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expects && s.fault == nil && errors.Is(err, os.ErrDeadlineExceeded)
}

// goOn has the answer waited for as without an expectation; tell has the client told
// to send its body: RFC 9110 §10.1.1 has servers that do not know of Expect.
func (s *strand) goOn(tell bool) *flow.Error {
	s.mu.Lock()
	if s.expects {
		s.expects = false
		if s.sent {
			s.within(s.t.FirstByte)
		} else {
			s.within(0)
		}
	}
	s.mu.Unlock()
	if tell && s.x.Req.Expect {
		if err := s.x.Inform(100, nil); err != nil {
			return clientFault(err)
		}
	}
	return nil
}

// onFinal settles what the answer's body is. From here on deadlines are the body's: a
// pump that is still at work does not set the answer's any more.
func (s *strand) onFinal() *flow.Error {
	h := &s.head
	s.nobody = !flow.BodyAllowed(s.x.Req.Method, h.status)
	switch {
	case !s.tunnels:
	case h.status/100 == 2:
		s.nobody, h.length = false, -1 // RFC 9110 §9.3.6
	default: // there will be no tunnel
		s.tunnels = false
		s.end()
	}
	if !s.nobody && h.length > 0 && s.eof && s.r == s.w {
		return s.malformed()
	}
	s.mu.Lock()
	s.headed = true
	s.mu.Unlock()
	s.within(0)
	return nil
}

// answered fills in the answer's head, and readies its body for the relay.
func (s *strand) answered() {
	x, h := s.x, &s.head
	x.Record.Timings.Answer = flow.Now()
	r := &x.Resp
	r.Status, r.Reason, r.ContentLength, r.Upgrade = h.status, nil, h.length, nil
	r.Header, h.fields = h.fields, r.Header
	r.Header.Rebase(h.arena)
	switch {
	case s.tunnels:
		switched(x, r)
	case s.nobody: // a length may be announced to HEAD
		if flow.BodyAllowed(x.Req.Method, r.Status) {
			r.ContentLength = 0
		}
	case s.eof && s.r == s.w && h.length < 0 && x.Req.Major < 2:
		r.ContentLength = 0 // others see the end with the head, as it came
	}
	r.Body = &s.body
}
