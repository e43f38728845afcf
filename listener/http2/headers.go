package http2

import (
	"encoding/binary"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// block is a head, or a trailer section, of which the frames are coming in.
type block struct {
	open    bool
	id      uint32
	s       *stream // of a head; nil: what comes is decoded and dropped
	trailer bool
	end     bool // END_STREAM
	self    bool // it depends on itself
	refuse  bool
	encoded int
	frames  int
}

// Bounds of what a head may cost before it is decoded.
const maxContinuations = 32

func (c *conn) onHeaders(f *h2.Frame, p []byte) {
	p, ok := h2.Unpad(f, p)
	if f.ID == 0 || f.ID&1 == 0 || !ok {
		c.abandon(h2.CodeProtocol)
		return
	}
	b := &c.block
	*b = block{open: true, id: f.ID, end: f.Has(h2.FlagEndStream)}
	if f.Has(h2.FlagPriority) {
		if len(p) < 5 {
			c.abandon(h2.CodeFrameSize)
			return
		}
		b.self = binary.BigEndian.Uint32(p)&h2.MaxWindow == f.ID
		p = p[5:]
	}
	if !c.admit(b) {
		return
	}
	c.fragment(f, p)
}

// admit decides what a head is for; false: the connection is at fault.
func (c *conn) admit(b *block) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.find(b.id); s != nil {
		if s.remoteEnded {
			c.later(h2.CodeClosed)
			return false
		}
		b.trailer = true
		c.trailer.begin()
		return true
	}
	if b.id <= c.lastID {
		closed, ours := c.closed.has(b.id)
		switch {
		case ours: // trailers that were on their way
		case closed:
			c.later(h2.CodeClosed)
			return false
		default:
			c.later(h2.CodeProtocol)
			return false
		}
		return true
	}
	c.lastID = b.id
	b.refuse = len(c.open) >= c.streams || c.running >= c.maxServed() || c.held > headBudget || c.away > 1
	if b.refuse {
		return true
	}
	if c.running == 0 && !c.fc.Busy() { // a drain was faster
		c.later(h2.CodeNone)
		return false
	}
	s := c.newStream(b.id)
	b.s = s
	c.running++
	c.served = true
	c.open = append(c.open, s)
	return true
}

// later is abandon for who holds c.mu.
func (c *conn) later(e h2.Code) {
	c.mu.Unlock()
	c.abandon(e)
	c.mu.Lock()
}

func (c *conn) onContinuation(f *h2.Frame, p []byte) {
	if !c.block.open {
		c.abandon(h2.CodeProtocol)
		return
	}
	c.fragment(f, p)
}

// fragment decodes a piece of a head block.
func (c *conn) fragment(f *h2.Frame, p []byte) {
	b := &c.block
	b.encoded += len(p) + h2.FrameHead
	if b.frames++; b.frames > maxContinuations || b.encoded > 2*c.limits.HeadBytes+h2.MaxFrame {
		c.abandon(h2.CodeCalm)
		return
	}
	last := f.Has(h2.FlagEndHeaders)
	if c.dec.Write(p, last) != nil {
		c.abandon(h2.CodeCompression)
		return
	}
	if last {
		b.open = false
		c.complete()
	}
}

// target is what fields are read into, nil if they are dropped.
func (c *conn) target() *head {
	switch b := &c.block; {
	case b.s != nil:
		return &b.s.head
	case b.trailer:
		return &c.trailer
	}
	return nil
}

// emit is called with each field as it is decoded.
func (c *conn) emit(f *h2.Field) {
	if h := c.target(); h != nil && h.err == nil {
		h.take(&c.limits, c.block.trailer, f)
	}
}

// check is what the decoder asks of a field, once for those in its table.
func check(name, value []byte) bool {
	return wire.CleanValue(value) && !h2.Blank(value) &&
		(len(name) > 0 && name[0] == ':' || wire.IsToken(name) && h2.LowerName(name))
}

// complete acts on a whole head.
func (c *conn) complete() {
	b := &c.block
	switch {
	case b.s != nil:
		c.completeHead(b)
	case b.trailer:
		c.completeTrailer(b)
	case b.refuse && c.charge(costReset):
		c.mu.Lock()
		c.out = h2.AppendReset(c.out, b.id, h2.CodeRefused)
		c.closed.add(b.id, true)
		c.mu.Unlock()
	case !b.refuse:
		c.charge(costFrame)
	}
}

func (c *conn) completeHead(b *block) {
	s := b.s
	b.s = nil
	s.received += int64(b.encoded)
	c.mu.Lock()
	defer c.mu.Unlock()
	s.request(b)
	if b.self && s.fault == nil {
		s.fault = badHead("stream depends on itself")
	}
	c.held += cap(s.head.arena)
	c.fresh = append(c.fresh, s)
}

func (c *conn) completeTrailer(b *block) {
	bad := !b.end || c.trailer.err != nil || b.self
	c.mu.Lock()
	s := c.find(b.id)
	if s == nil {
		c.mu.Unlock()
		return
	}
	s.received += int64(b.encoded)
	if bad || s.length >= 0 && s.got != s.length {
		e := s.mislaid()
		c.mu.Unlock()
		if e != h2.CodeNone {
			c.streamError(b.id, e)
		}
		return
	}
	s.trailer.Reset(nil)
	h := &c.trailer
	h.fields.Rebase(h.arena)
	for i := range h.fields.Len() {
		if id, name, value, ok := h.fields.At(i); ok && !wire.NotTrailing(id) {
			s.trailer.AddBytes(name, value)
			s.hasTrailer = true
		}
	}
	s.remoteEnd()
	c.mu.Unlock()
}

// head is a head as it is decoded: its bytes and where they lie.
type head struct {
	arena   []byte
	fields  flow.Header
	pseudo  [pseudoCount]span
	seen    uint8
	regular bool // a field that is no pseudo-header was seen
	size    int
	lines   int
	cookies int
	length  int64 // content-length, -1: none
	host    span
	hosts   int
	expect  span
	err     *flow.Error
}

type span struct{ at, n int }

func (h *head) bytes(s span) []byte { return h.arena[s.at : s.at+s.n : s.at+s.n] }

// The pseudo-header fields of requests (RFC 9113 §8.3.1, RFC 8441 §4).
const (
	pseudoMethod = iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoProtocol
	pseudoCount
)

func (h *head) has(i int) bool { return h.seen>>i&1 != 0 }

func (h *head) begin() {
	arena := h.arena[:0]
	fields := h.fields
	*h = head{arena: arena, fields: fields, length: -1}
	h.fields.Reset(nil)
}

func (h *head) bad(cause string) { h.err = badHead(cause) }

func badHead(cause string) *flow.Error {
	return &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 400, Cause: cause}
}

var errTooLarge = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 431, Cause: "header too large"}

// take takes in one field.
func (h *head) take(limits *flow.Limits, trailer bool, f *h2.Field) {
	h.size += len(f.Name) + len(f.Value) + 4
	if len(f.Name) == 0 || f.Name[0] != ':' {
		h.lines++
	}
	if h.size > limits.HeadBytes || h.lines > limits.Fields {
		h.err = errTooLarge
		return
	}
	at := len(h.arena)
	h.arena = append(append(h.arena, f.Name...), f.Value...)
	name, value := h.arena[at:at+len(f.Name)], h.arena[at+len(f.Name):]
	v := span{at + len(name), len(value)}
	if !f.Good {
		h.bad("malformed field")
		return
	}
	if len(name) > 0 && name[0] == ':' {
		h.takePseudo(string(f.Name), v, trailer)
		return
	}
	h.regular = true
	id := f.ID
	if !h.note(id, v) || h.err != nil {
		return
	}
	if h2.Underscored(name) && wire.Aliased(name) {
		return
	}
	h.fields.AddSpan(id, at, len(name), v.at, v.n)
}

func (h *head) takePseudo(name string, v span, trailer bool) {
	i := pseudoCount
	switch name {
	case ":method":
		i = pseudoMethod
	case ":scheme":
		i = pseudoScheme
	case ":authority":
		i = pseudoAuthority
	case ":path":
		i = pseudoPath
	case ":protocol":
		i = pseudoProtocol
	}
	if i == pseudoCount || trailer || h.regular || h.has(i) {
		h.bad("misplaced or unknown pseudo-header field")
		return
	}
	h.seen |= 1 << i
	h.pseudo[i] = v
}

// note takes in what frames and routes; false: the field is not kept.
func (h *head) note(id flow.ID, v span) bool {
	value := h.bytes(v)
	switch id {
	case flow.FieldTE:
		if !flow.EqualFold(value, "trailers") {
			h.bad("te other than trailers")
		}
	case flow.FieldHTTP2Settings:
		return false
	case flow.FieldContentLength:
		n, ok := wire.ParseLength(value)
		if !ok || h.length >= 0 {
			h.bad("malformed content-length")
		}
		h.length = n
	case flow.FieldHost:
		h.hosts++
		h.host = v
		return false // it is written anew
	case flow.FieldCookie:
		h.cookies++
	case flow.FieldExpect:
		h.expect = v
	default:
		if h2.In(h2.Hop, id) { // RFC 9113 §8.2.2
			h.bad("connection-specific field")
		}
	}
	return true
}
