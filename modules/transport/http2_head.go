package transport

import (
	"errors"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// block is a head, or a trailer section, of which the frames are coming in.
type block struct {
	open    bool
	id      uint32
	end     bool // END_STREAM
	encoded int
	frames  int
}

// Bounds of what a head may cost before it is decoded.
const maxContinuations = 32

var errMalformed = errors.New("not what HTTP/2 has servers send")

// head is a head as it is decoded: its bytes and where they lie.
type head struct {
	arena   []byte
	fields  flow.Header
	status  int
	size    int
	lines   int
	length  int64 // content-length, -1: none
	regular bool  // a field that is no pseudo-header was seen
	bad     bool
	large   bool
}

func (h *head) begin() {
	h.arena = h.arena[:0]
	h.fields.Reset(nil)
	h.status, h.size, h.lines, h.length, h.regular, h.bad, h.large = 0, 0, 0, -1, false, false, false
}

func (m *mux) onHeaders(f *h2.Frame, p []byte) {
	p, ok := h2.Unpad(f, p)
	if f.ID == 0 || !ok || m.idle(f.ID) {
		m.protest(h2.CodeProtocol)
		return
	}
	if f.Has(h2.FlagPriority) {
		if len(p) < 5 {
			m.protest(h2.CodeFrameSize)
			return
		}
		p = p[5:]
	}
	m.blk = block{open: true, id: f.ID, end: f.Has(h2.FlagEndStream)}
	m.head.begin()
	m.fragment(f, p)
}

func (m *mux) onContinuation(f *h2.Frame, p []byte) {
	if !m.blk.open {
		m.protest(h2.CodeProtocol)
		return
	}
	m.fragment(f, p)
}

// fragment decodes a piece of a head block; mu is held.
func (m *mux) fragment(f *h2.Frame, p []byte) {
	b := &m.blk
	b.encoded += len(p) + h2.FrameHead
	if b.frames++; b.frames > maxContinuations || b.encoded > 2*headLimit+h2.MaxFrame {
		m.protest(h2.CodeCalm)
		return
	}
	last := f.Has(h2.FlagEndHeaders)
	if m.dec.Write(p, last) != nil {
		m.protest(h2.CodeCompression)
		return
	}
	if !last {
		return
	}
	b.open = false
	if s := m.find(b.id); s != nil {
		s.onHead(&m.head, b.end)
	}
}

// emit is called with each field as it is decoded.
func (m *mux) emit(f *h2.Field) {
	if h := &m.head; !h.bad && !h.large {
		h.take(f)
	}
}

// checkField is what the decoder asks of a field, once for those in its table.
func checkField(name, value []byte) bool {
	return wire.CleanValue(value) && !h2.Blank(value) && (len(name) > 0 && name[0] == ':' || wire.IsToken(name) && h2.LowerName(name))
}

// take takes in one field.
func (h *head) take(f *h2.Field) {
	h.size += len(f.Name) + len(f.Value) + 4
	if h.lines++; h.size > headLimit || h.lines > fieldLimit {
		h.large = true
		return
	}
	at := len(h.arena)
	h.arena = append(append(h.arena, f.Name...), f.Value...)
	name, value := h.arena[at:at+len(f.Name)], h.arena[at+len(f.Name):]
	if len(name) > 0 && name[0] == ':' {
		n, ok := wire.ParseLength(value)
		h.bad = string(name) != ":status" || h.regular || h.status != 0 || !ok || len(value) != 3 || n < 100 || n > 599
		h.status = int(n)
		return
	}
	h.regular = true
	if h.bad = !f.Good; h.bad {
		return
	}
	id := f.ID
	switch {
	case h2.In(h2.Hop, id), id == flow.FieldTE: // RFC 9113 §8.2.2
		h.bad = true
		return
	case id == flow.FieldContentLength:
		n, ok := wire.ParseLength(value)
		if h.bad = !ok || h.length >= 0; h.bad {
			return
		}
		h.length = n
	case h2.Underscored(name) && wire.Aliased(name):
		return
	}
	h.fields.AddSpan(id, at, len(name), at+len(name), len(value))
}

// onHead acts on a whole head, or trailer section, of a stream; m.mu is held.
func (s *stream) onHead(h *head, end bool) {
	switch {
	case s.remoteEnded:
		s.malformed(h2.CodeClosed)
	case h.large:
		s.tooLarge()
	case h.bad:
		s.malformed(h2.CodeProtocol)
	case s.headed:
		s.onTrailer(h, end)
	case h.status == 0 || h.status == 101 || h.status < 200 && end:
		s.malformed(h2.CodeProtocol)
	case h.status < 200:
		s.onInterim(h)
	default:
		s.onFinal(h, end)
	}
}

func (s *stream) tooLarge() {
	s.cut(h2.CodeCancel)
	s.fail(invalidAnswer(wire.ErrHeadTooLarge))
}

// onInterim keeps an interim answer for the exchange, which passes it on.
func (s *stream) onInterim(h *head) {
	if s.informed++; s.informed > maxInterim {
		s.cut(h2.CodeCancel)
		s.fail(invalidAnswer(errInterim))
		return
	}
	i := interim{status: h.status}
	h.fields.Rebase(h.arena)
	i.header.CopyFrom(&h.fields)
	s.interims = append(s.interims, i)
	s.cond.Broadcast()
}

// onFinal hands the head over: buffers change hands, nothing is copied.
func (s *stream) onFinal(h *head, end bool) {
	s.headed, s.status = true, h.status
	s.nobody = !flow.BodyAllowed(s.x.Req.Method, h.status)
	switch {
	case !s.tunnels:
	case s.status/100 == 2:
		s.nobody, h.length = false, -1 // RFC 9110 §9.3.6
	default: // there will be no tunnel
		s.tunnels = false
		s.endStream()
		s.localEnd()
	}
	s.head, *h = *h, s.head
	if end && s.mislaid(true) {
		s.headed = false
		s.malformed(h2.CodeProtocol)
		return
	}
	s.cond.Broadcast()
	if end {
		s.remoteEnd()
	}
}

// onTrailer ends the answer (RFC 9113 §8.1).
func (s *stream) onTrailer(h *head, end bool) {
	if !end || h.status != 0 || s.mislaid(true) {
		s.malformed(h2.CodeProtocol)
		return
	}
	h.fields.Rebase(h.arena)
	for i := range h.fields.Len() {
		if id, name, value, ok := h.fields.At(i); ok && !wire.NotTrailing(id) {
			s.trailer.AddBytes(name, value)
		}
	}
	s.remoteEnd()
}
