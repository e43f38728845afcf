package transport

import (
	"bytes"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// sendHead puts the request's head into the buffer, the end of the stream with it
// if there is no body; m.mu is held.
func (s *stream) sendHead(dial string) {
	m, r := s.m, &s.x.Req
	connect := r.Method == "CONNECT"
	s.tunnels = connect || len(r.Upgrade) > 0
	flags := byte(h2.FlagEndHeaders)
	if !r.HasBody() && !s.tunnels {
		flags |= h2.FlagEndStream
		s.localEnded = true
	}
	s.mark()
	start := len(m.out)
	m.out = m.appendTableSize(h2.AppendFrame(m.out, 0, h2.TypeHeaders, flags, s.id))
	m.out = h2.EndBlock(m.appendHead(m.out, r, dial), start)
}

// appendTableSize says before the first block that none uses HPACK's table,
// whatever size of it the server allows, now or later (RFC 7541 §4.2).
func (m *mux) appendTableSize(b []byte) []byte {
	if m.greetBack {
		return b
	}
	m.greetBack = true
	return append(b, 0x20)
}

// appendHead appends the fields of a request (RFC 9113 §8.3.1). The scheme is that
// of the connection: servers refuse another one, and the client's is told by
// X-Forwarded-Proto.
func (m *mux) appendHead(b []byte, r *flow.Request, dial string) []byte {
	upgrade := len(r.Upgrade) > 0
	connect := r.Method == "CONNECT"
	switch {
	case upgrade:
		b = h2.AppendLiteral(b, 2, "CONNECT")
		b = h2.AppendPseudo(b, ":protocol", r.Upgrade)
	case r.Method == "GET":
		b = append(b, 0x82)
	case r.Method == "POST":
		b = append(b, 0x83)
	default:
		b = h2.AppendLiteral(b, 2, r.Method)
	}
	if !connect {
		if m.secure {
			b = append(b, 0x87)
		} else {
			b = append(b, 0x86)
		}
		if bytes.Equal(r.Target, root) {
			b = append(b, 0x84)
		} else {
			b = h2.AppendLiteral(b, 4, r.Target)
		}
	}
	if host := r.Header.GetID(flow.FieldHost); host != nil {
		b = h2.AppendLiteral(b, 1, host)
	} else if len(r.Authority) > 0 {
		b = h2.AppendLiteral(b, 1, r.Authority)
	} else {
		b = h2.AppendLiteral(b, 1, dial)
	}
	skip := uint64(h2.Hop) | 1<<flow.FieldHost | 1<<flow.FieldTE
	announced := r.ContentLength >= 0 && wire.Announces(&r.Header, r.ContentLength)
	if !announced {
		skip |= 1 << flow.FieldContentLength
	}
	if upgrade {
		skip |= 1<<flow.FieldSecWebSocketKey | 1<<flow.FieldContentLength
	}
	b = h2.AppendFields(b, &r.Header, skip)
	if r.ContentLength > 0 && !announced {
		b = h2.AppendLength(b, r.ContentLength)
	}
	// The only word that TE has left (RFC 9113 §8.2.2); gRPC's servers want it.
	if flow.EqualFold(r.Header.GetID(flow.FieldTE), "trailers") {
		b = h2.AppendField(b, flow.FieldTE, te, trailers)
	}
	return b
}

var root, te, trailers = []byte("/"), []byte("te"), []byte("trailers")

// trails reports whether there is anything to send of a trailer section.
func trails(h *flow.Header) bool {
	for i := range h.Len() {
		if id, _, _, ok := h.At(i); ok && !wire.NotTrailing(id) {
			return true
		}
	}
	return false
}

// sendTrailer ends our side with a trailer section; m.mu is held.
func (s *stream) sendTrailer(h *flow.Header) {
	m := s.m
	start := len(m.out)
	m.out = h2.AppendFrame(m.out, 0, h2.TypeHeaders, h2.FlagEndHeaders|h2.FlagEndStream, s.id)
	for i := range h.Len() {
		if id, name, value, ok := h.At(i); ok && !wire.NotTrailing(id) {
			m.out = h2.AppendField(m.out, id, name, value)
		}
	}
	m.out = h2.EndBlock(m.out, start)
}

// mark notes where the stream's last frame is, so that it can be made the last.
func (s *stream) mark() { s.lastAt, s.lastGen = len(s.m.out), s.m.outGen }

// endStream ends our side: by the last frame, if it has not left. m.mu is held.
func (s *stream) endStream() {
	m := s.m
	if s.lastGen == m.outGen && s.lastAt < len(m.out) {
		m.out[s.lastAt+4] |= h2.FlagEndStream
	} else {
		m.out = h2.AppendFrame(m.out, 0, h2.TypeData, h2.FlagEndStream, s.id)
	}
}

// offer puts of p into the buffer what windows and buffer allow; m.mu is held.
func (s *stream) offer(p []byte) (sent int) {
	m := s.m
	for sent < len(p) && len(m.out) < outLimit && !s.stopped && !s.reset && m.failed == nil {
		n := min(int64(len(p)-sent), s.window, m.window, h2.MaxFrame)
		if n <= 0 {
			break
		}
		s.mark()
		m.out = h2.AppendFrame(m.out, int(n), h2.TypeData, 0, s.id)
		m.out = append(m.out, p[sent:sent+int(n)]...)
		s.window -= n
		m.window -= n
		sent += int(n)
	}
	return sent
}

// sendAll sends p, waiting where windows and buffer do not allow it; false: there
// is no point in going on. Progress counts for the timeout. m.mu is held.
func (s *stream) sendAll(p []byte) bool {
	m := s.m
	defer func() { s.writeBy = 0 }()
	for s.writeBy = s.until(s.t.Stall); ; {
		if s.stopped || s.reset || m.failed != nil {
			return false
		}
		if n := s.offer(p); n > 0 {
			p = p[n:]
			s.writeBy = s.until(s.t.Stall)
		}
		switch {
		case len(p) == 0:
			return true
		case overdue(s.writeBy):
			s.cut(h2.CodeCancel)
			s.fail(notTaken())
			return false
		case !m.writing && len(m.out) > 0:
			m.flush() // what is kept back must not be waited for
		default:
			s.queue()
			s.wait()
		}
	}
}

// queue has the stream woken when there is room, if it is not its own window that
// lacks it; m.mu is held.
func (s *stream) queue() {
	if s.window > 0 && !s.queued {
		s.queued = true
		s.m.blocked = append(s.m.blocked, s)
	}
}

// unqueue forgets that the stream waits; m.mu is held.
func (s *stream) unqueue() {
	if !s.queued {
		return
	}
	s.queued = false
	for i, o := range s.m.blocked {
		if o == s {
			s.m.blocked = append(s.m.blocked[:i], s.m.blocked[i+1:]...)
			return
		}
	}
}
