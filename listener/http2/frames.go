package http2

import (
	"encoding/binary"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// frame takes in one frame. p dies with the next read.
func (c *conn) frame(f *h2.Frame, p []byte) {
	if c.block.open && (f.Kind != h2.TypeContinuation || f.ID != c.block.id) || !c.settled && (f.Kind != h2.TypeSettings || f.Has(h2.FlagAck)) {
		c.abandon(h2.CodeProtocol)
		return
	}
	switch f.Kind {
	case h2.TypeData:
		c.onData(f, p)
	case h2.TypeHeaders:
		c.onHeaders(f, p)
	case h2.TypePriority:
		c.onPriority(f, p)
	case h2.TypeReset:
		c.onReset(f, p)
	case h2.TypeSettings:
		c.onSettings(f, p)
	case h2.TypePing:
		c.onPing(f, p)
	case h2.TypeGoAway:
		// What the client says there matters to requests of ours only.
		switch {
		case f.ID != 0:
			c.abandon(h2.CodeProtocol)
		case len(p) < 8:
			c.abandon(h2.CodeFrameSize)
		default:
			c.charge(multi.CostFrame)
		}
	case h2.TypeWindow:
		c.onWindow(f, p)
	case h2.TypePush:
		c.abandon(h2.CodeProtocol)
	case h2.TypeContinuation:
		c.onContinuation(f, p)
	default: // RFC 9113 §4.1: unknown types are ignored
		c.charge(multi.CostFrame)
	}
}

// streamError resets a stream, open or not.
func (c *conn) streamError(id uint32, e h2.Code) {
	if !c.charge(multi.CostMalformed) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.find(id)
	if s == nil {
		c.out = h2.AppendReset(c.out, id, e)
		c.closed.add(id, true)
		return
	}
	s.bodyErr = malformed("stream error")
	s.cut(e)
	s.bereave()
}

func malformed(cause string) *flow.Error {
	return &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Status: 400, Cause: cause}
}

// onData hands a stretch of a body to its stream (RFC 9113 §6.1).
func (c *conn) onData(f *h2.Frame, p []byte) {
	data, ok := h2.Unpad(f, p)
	if f.ID == 0 || !ok || f.ID > c.lastID {
		c.abandon(h2.CodeProtocol)
		return
	}
	c.mu.Lock()
	size := int(f.Length)
	if c.recvWindow -= size; c.recvWindow < 0 {
		c.mu.Unlock()
		c.abandon(h2.CodeFlow)
		return
	}
	s := c.find(f.ID)
	if s == nil || s.remoteEnded {
		c.credit(size)
		_, ours := c.closed.has(f.ID)
		if s != nil && s.fault != nil { // it is refused already
			s, ours = nil, true
		}
		c.mu.Unlock()
		if s != nil || !ours { // what was on its way when we reset it is no fault
			c.streamError(f.ID, h2.CodeClosed)
		} else if size == 0 {
			c.charge(multi.CostFrame)
		}
		return
	}
	e, waste := s.take(f, data)
	c.mu.Unlock()
	if e != h2.CodeNone {
		c.streamError(f.ID, e)
	} else if waste {
		c.charge(multi.CostFrame)
	}
}

// take appends data to what waits to be read; c.mu is held. waste tells that
// the frame carried next to nothing.
func (s *stream) take(f *h2.Frame, data []byte) (e h2.Code, waste bool) {
	c := s.c
	s.received += int64(f.Length) + h2.FrameHead
	if s.recvWindow -= int(f.Length); s.recvWindow < 0 {
		c.credit(int(f.Length))
		return h2.CodeFlow, false
	}
	s.got += int64(len(data))
	end := f.Has(h2.FlagEndStream)
	if s.length >= 0 && (s.got > s.length || end && s.got != s.length) {
		c.credit(int(f.Length))
		return s.mislaid(), false
	}
	s.credit(int(f.Length) - len(data)) // padding is consumed at once
	if s.bodyClosed {
		s.credit(len(data))
	} else {
		s.append(data)
	}
	if end {
		s.remoteEnd()
	} else if len(data) > 0 {
		s.cond.Broadcast()
	}
	return h2.CodeNone, !end && len(data) == 0
}

// append grows in steps: a client that sends little must not cost much.
func (s *stream) append(data []byte) {
	if need := len(s.in) + len(data); need > cap(s.in) {
		step := 1 << 10
		for step < need && step < 16<<10 {
			step *= 2
		}
		grown := make([]byte, len(s.in), (need+step-1)/step*step)
		copy(grown, s.in)
		s.in = grown
	}
	s.in = append(s.in, data...)
}

// mislaid is a body that differs from its content-length (RFC 9113 §8.1.1). One
// that nobody has begun to serve is refused instead.
func (s *stream) mislaid() h2.Code {
	if s.served {
		return h2.CodeProtocol
	}
	s.fault = malformed("body differs from its content-length")
	s.remoteEnd()
	return h2.CodeNone
}

// onPriority takes in what RFC 9113 §5.3.2 has deprecated.
func (c *conn) onPriority(f *h2.Frame, p []byte) {
	switch {
	case f.ID == 0:
		c.abandon(h2.CodeProtocol)
	case len(p) != 5:
		c.streamError(f.ID, h2.CodeFrameSize)
	case binary.BigEndian.Uint32(p)&h2.MaxWindow == f.ID:
		c.streamError(f.ID, h2.CodeProtocol)
	default:
		c.charge(multi.CostFrame)
	}
}

func (c *conn) onReset(f *h2.Frame, p []byte) {
	switch {
	case f.ID == 0 || f.ID > c.lastID:
		c.abandon(h2.CodeProtocol)
		return
	case len(p) != 4:
		c.abandon(h2.CodeFrameSize)
		return
	}
	if !c.charge(multi.CostReset) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.find(f.ID); s != nil {
		s.reset = true
		s.received += h2.FrameHead + 4
		c.remove(s, false)
		s.bereave()
	}
}

func (c *conn) onPing(f *h2.Frame, p []byte) {
	switch {
	case f.ID != 0:
		c.abandon(h2.CodeProtocol)
	case len(p) != 8:
		c.abandon(h2.CodeFrameSize)
	case c.charge(multi.CostFrame) && !f.Has(h2.FlagAck):
		c.mu.Lock()
		c.out = append(h2.AppendFrame(c.out, 8, h2.TypePing, h2.FlagAck, 0), p...)
		c.mu.Unlock()
	}
}

func (c *conn) onWindow(f *h2.Frame, p []byte) {
	if len(p) != 4 {
		c.abandon(h2.CodeFrameSize)
		return
	}
	n := int64(binary.BigEndian.Uint32(p) & h2.MaxWindow)
	if f.ID > c.lastID || n == 0 && f.ID == 0 {
		c.abandon(h2.CodeProtocol)
		return
	}
	if !c.charge(multi.CostFrame) {
		return
	}
	if n == 0 {
		c.streamError(f.ID, h2.CodeProtocol)
		return
	}
	c.mu.Lock()
	if f.ID == 0 {
		c.sendWindow += n
		over := c.sendWindow > h2.MaxWindow
		c.unblock()
		c.mu.Unlock()
		if over {
			c.abandon(h2.CodeFlow)
		}
		return
	}
	s := c.find(f.ID)
	if s == nil {
		c.mu.Unlock()
		return
	}
	s.window += n
	over := s.window > h2.MaxWindow
	s.cond.Broadcast()
	c.mu.Unlock()
	if over {
		c.streamError(f.ID, h2.CodeFlow)
	}
}

func (c *conn) onSettings(f *h2.Frame, p []byte) {
	ack := f.Has(h2.FlagAck)
	switch {
	case f.ID != 0:
		c.abandon(h2.CodeProtocol)
		return
	case ack && len(p) > 0 || len(p)%6 != 0:
		c.abandon(h2.CodeFrameSize)
		return
	}
	c.settled = true
	if !c.charge(multi.CostFrame*int64(1+len(p)/6)) || ack {
		return
	}
	e := h2.CodeNone
	c.mu.Lock()
	for ; len(p) > 0 && e == h2.CodeNone; p = p[6:] {
		e = c.setting(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:]))
	}
	c.out = h2.AppendFrame(c.out, 0, h2.TypeSettings, h2.FlagAck, 0)
	c.unblock()
	c.mu.Unlock()
	if e != h2.CodeNone {
		c.abandon(e)
	}
}

// setting takes in one setting (RFC 9113 §6.5.2); c.mu is held.
func (c *conn) setting(id uint16, v uint32) h2.Code {
	switch id {
	case h2.SettingPush:
		if v > 1 {
			return h2.CodeProtocol
		}
	case h2.SettingFrame:
		if v < h2.MaxFrame || v >= 1<<24 {
			return h2.CodeProtocol
		}
	case h2.SettingWindow:
		if v > h2.MaxWindow {
			return h2.CodeFlow
		}
		change := int64(v) - c.initial
		c.initial = int64(v)
		for _, s := range c.open {
			if s.window += change; s.window > h2.MaxWindow {
				return h2.CodeFlow
			}
			s.cond.Broadcast()
		}
	case h2.SettingExtended:
		if v > 1 {
			return h2.CodeProtocol
		}
	}
	return h2.CodeNone
}

// credit gives n bytes of the connection's window back; c.mu is held.
func (c *conn) credit(n int) {
	if c.owed += n; c.owed >= c.connWindow/4 {
		c.out = h2.AppendWindow(c.out, 0, c.owed)
		c.recvWindow += c.owed
		c.owed = 0
	}
}

// credit gives n bytes of the stream's and the connection's window back.
func (s *stream) credit(n int) {
	if n == 0 {
		return
	}
	s.c.credit(n)
	if s.owed += n; s.owed >= s.c.window/2 && !s.remoteEnded && !s.gone {
		s.c.out = h2.AppendWindow(s.c.out, s.id, s.owed)
		s.recvWindow += s.owed
		s.owed = 0
	}
}
