package http2

import (
	"encoding/binary"

	"github.com/loadstar-lb/loadstar/listener/multi"
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
		c.trailer.Begin()
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
func (c *conn) target() *multi.Head {
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
	if h := c.target(); h != nil && h.Err == nil {
		at := len(h.Arena)
		h.Arena = append(append(h.Arena, f.Name...), f.Value...)
		h.Took(&c.limits, c.block.trailer, multi.Field{At: at, Name: len(f.Name), ID: f.ID, Good: f.Good})
	}
}

// complete acts on a whole head.
func (c *conn) complete() {
	b := &c.block
	switch {
	case b.s != nil:
		c.completeHead(b)
	case b.trailer:
		c.completeTrailer(b)
	case b.refuse && c.charge(multi.CostReset):
		c.mu.Lock()
		c.out = h2.AppendReset(c.out, b.id, h2.CodeRefused)
		c.closed.add(b.id, true)
		c.mu.Unlock()
	case !b.refuse:
		c.charge(multi.CostFrame)
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
		s.fault = multi.BadHead("stream depends on itself")
	}
	c.held += cap(s.head.Arena)
	c.fresh = append(c.fresh, s)
}

func (c *conn) completeTrailer(b *block) {
	bad := !b.end || c.trailer.Err != nil || b.self
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
	s.hasTrailer = c.trailer.Trailer(&s.trailer)
	s.remoteEnd()
	c.mu.Unlock()
}
