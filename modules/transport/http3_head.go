package transport

import (
	"bytes"
	"io"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h1 "github.com/loadstar-lb/loadstar/listener/wire/http1"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// appendHead puts the request's head into the buffer (RFC 9114 §4.3.1), with what
// HTTP/2 has for it, too.
func (s *strand) appendHead(dial string) {
	r := &s.x.Req
	upgrade, connect := len(r.Upgrade) > 0, r.Method == "CONNECT"
	s.tunnels = connect || upgrade
	at := len(s.out)
	b := wire.AppendSection(wire.Reserve(s.out, wire.FrameHeaders))
	if upgrade {
		b = wire.AppendPseudo(wire.AppendMethod(b, "CONNECT"), ":protocol", r.Upgrade)
	} else {
		b = wire.AppendMethod(b, r.Method)
	}
	if !connect {
		b = wire.AppendIndexed(b, wire.SchemeHTTPS)
		if bytes.Equal(r.Target, root) {
			b = wire.AppendIndexed(b, wire.Path)
		} else {
			b = wire.AppendLiteral(b, wire.Path, r.Target)
		}
	}
	if host := r.Header.GetID(flow.FieldHost); host != nil {
		b = wire.AppendLiteral(b, wire.Authority, host)
	} else if len(r.Authority) > 0 {
		b = wire.AppendLiteral(b, wire.Authority, r.Authority)
	} else {
		b = wire.AppendLiteral(b, wire.Authority, dial)
	}
	skip := uint64(h2.Hop) | 1<<flow.FieldHost | 1<<flow.FieldTE
	announced := r.ContentLength >= 0 && h1.Announces(&r.Header, r.ContentLength)
	if !announced {
		skip |= 1 << flow.FieldContentLength
	}
	if upgrade {
		skip |= 1<<flow.FieldSecWebSocketKey | 1<<flow.FieldContentLength
	}
	for i := range r.Header.Len() {
		if id, name, value, ok := r.Header.At(i); ok && !h2.In(skip, id) {
			b = wire.AppendField(b, id, name, value)
		}
	}
	if r.ContentLength > 0 && !announced {
		b = wire.AppendLength(b, r.ContentLength)
	}
	if flow.EqualFold(r.Header.GetID(flow.FieldTE), "trailers") { // all that TE may say (RFC 9114 §4.2)
		b = wire.AppendField(b, flow.FieldTE, te, trailers)
	}
	s.out = wire.Seal(b, at)
}

// appendTrailer puts the request's trailer section behind its body, if it has one.
func (s *strand) appendTrailer() {
	h := s.x.Req.Body.Trailer()
	if h == nil || !trails(h) {
		return
	}
	at := len(s.out)
	s.out = wire.AppendSection(wire.Reserve(s.out, wire.FrameHeaders))
	for i := range h.Len() {
		if id, name, value, ok := h.At(i); ok && !h1.NotTrailing(id) {
			s.out = wire.AppendField(s.out, id, name, value)
		}
	}
	s.out = wire.Seal(s.out, at)
}

// headFrame reads up to the end of the next HEADERS frame and gives what is in it.
func (s *strand) headFrame() ([]byte, error) {
	for {
		if err := s.skip(); err != nil {
			return nil, err
		}
		kind, size, n := wire.ParseFrame(s.in[s.r:s.w])
		if n == 0 {
			switch err := s.fill(); {
			case err == io.EOF && s.r < s.w:
				return nil, s.c.protest(wire.CodeFrame)
			case err == io.EOF: // RFC 9114 §4.1: an answer has a head
				return nil, s.malformed()
			case err != nil:
				return nil, err
			}
			continue
		}
		if kind == wire.FrameHeaders {
			p, err := s.section(n, size)
			return p, err
		}
		if known(kind) {
			return nil, s.c.protest(misplaced(kind))
		}
		s.r += n
		if err := s.pass(size); err != nil {
			return nil, err
		}
	}
}

// known reports the frame types that mean something; all others are passed over
// (RFC 9114 §9).
func known(kind uint64) bool {
	return kind <= wire.FrameGoAway || kind == wire.FrameMaxPush || wire.Foreign(kind)
}

// misplaced is the error of a frame where it must not be.
func misplaced(kind uint64) wire.Code {
	if kind == wire.FramePush { // we have allowed none (RFC 9114 §7.2.5)
		return wire.CodeID
	}
	return wire.CodeUnexpected
}

// section reads a frame of size bytes behind its head of n bytes, as a whole. Until
// it is there nothing is taken, so that a deadline may come between. It stays in s.in.
func (s *strand) section(n int, size uint64) ([]byte, error) {
	if size > 2*headLimit { // Huffman saves less than that
		return nil, s.tooLarge()
	}
	for uint64(s.w-s.r) < uint64(n)+size {
		switch err := s.fill(); {
		case err == io.EOF: // RFC 9114 §7.1
			return nil, s.c.protest(wire.CodeFrame)
		case err != nil:
			return nil, err
		}
	}
	s.r += n
	p := s.in[s.r : s.r+int(size)]
	s.r += int(size)
	return p, nil
}

// pass has a frame of a type that means nothing be skipped. A server may send as many
// as it likes of them (RFC 9114 §9), but not for ever.
func (s *strand) pass(size uint64) error {
	if size > maxSkipped || s.skipped > maxSkipped {
		return s.malformed()
	}
	s.skipped += int(size) + 16
	s.skipLeft = size
	return nil
}

// skip reads what is left of such a frame. It goes on where a deadline has come
// between: the deadline of a tunnel, or of the server's word on an expectation.
func (s *strand) skip() error {
	for s.skipLeft > 0 {
		n := min(uint64(s.w-s.r), s.skipLeft)
		s.r += int(n)
		if s.skipLeft -= n; s.skipLeft == 0 {
			break
		}
		switch err := s.fill(); {
		case err == io.EOF:
			return s.c.protest(wire.CodeFrame)
		case err != nil:
			return err
		}
	}
	return nil
}

// decode takes the fields of a section into h. Its error is the connection's
// (RFC 9204 §2.2); a head at fault is not read to its end.
func (s *strand) decode(h *head, p []byte) *flow.Error {
	h.begin()
	err := s.dec.Begin(p)
	for err == nil && s.dec.More() && !h.bad && !h.large {
		var n int
		if s.field, n, err = s.dec.Next(s.field[:0]); err == nil {
			name, value := s.field[:n], s.field[n:]
			h.take(&h2.Field{Name: name, Value: value, ID: flow.LookupBytes(name), Good: checkField(name, value)})
		}
	}
	if err != nil {
		return s.c.protest(wire.CodeCompression)
	}
	return nil
}

func (s *strand) tooLarge() *flow.Error {
	s.q.CancelRead(quic.StreamErrorCode(wire.CodeLoad))
	return invalidAnswer(h1.ErrHeadTooLarge)
}

// malformed ends a stream whose server sent what is no answer (RFC 9114 §4.1.2).
func (s *strand) malformed() *flow.Error {
	s.q.CancelRead(quic.StreamErrorCode(wire.CodeMessage))
	phase, cause := flow.PhaseHeaders, "invalid answer"
	if s.headed {
		phase, cause = flow.PhaseData, "invalid body"
	}
	return &flow.Error{Side: flow.SideProxy, Phase: phase, Status: 502, Cause: cause, Err: errMalformed, Begun: true}
}
