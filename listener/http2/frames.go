package http2

import (
	"encoding/binary"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// frame takes in one frame. p dies with the next read.
func (c *conn) frame(f *frame, p []byte) {
	if c.block.open && (f.kind != frameContinuation || f.id != c.block.id) || !c.settled && (f.kind != frameSettings || f.has(flagAck)) {
		c.abandon(codeProtocol)
		return
	}
	switch f.kind {
	case frameData:
		c.onData(f, p)
	case frameHeaders:
		c.onHeaders(f, p)
	case framePriority:
		c.onPriority(f, p)
	case frameReset:
		c.onReset(f, p)
	case frameSettings:
		c.onSettings(f, p)
	case framePing:
		c.onPing(f, p)
	case frameGoAway:
		// What the client says there matters to requests of ours only.
		switch {
		case f.id != 0:
			c.abandon(codeProtocol)
		case len(p) < 8:
			c.abandon(codeFrameSize)
		default:
			c.charge(costFrame)
		}
	case frameWindow:
		c.onWindow(f, p)
	case framePush:
		c.abandon(codeProtocol)
	case frameContinuation:
		c.onContinuation(f, p)
	default: // RFC 9113 §4.1: unknown types are ignored
		c.charge(costFrame)
	}
}

// streamError resets a stream, open or not.
func (c *conn) streamError(id uint32, e code) {
	if !c.charge(costMalformed) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.find(id)
	if s == nil {
		c.out = appendReset(c.out, id, e)
		c.closed.add(id, true)
		return
	}
	s.bodyErr = malformed("stream error")
	s.cut(e)
}

func malformed(cause string) *flow.Error {
	return &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Status: 400, Cause: cause}
}

// onData hands a stretch of a body to its stream (RFC 9113 §6.1).
func (c *conn) onData(f *frame, p []byte) {
	data, ok := unpad(f, p)
	if f.id == 0 || !ok || f.id > c.lastID {
		c.abandon(codeProtocol)
		return
	}
	c.mu.Lock()
	size := int(f.length)
	if c.recvWindow -= size; c.recvWindow < 0 {
		c.mu.Unlock()
		c.abandon(codeFlow)
		return
	}
	s := c.find(f.id)
	if s == nil || s.remoteEnded {
		c.credit(size)
		_, ours := c.closed.has(f.id)
		if s != nil && s.fault != nil { // it is refused already
			s, ours = nil, true
		}
		c.mu.Unlock()
		if s != nil || !ours { // what was on its way when we reset it is no fault
			c.streamError(f.id, codeClosed)
		} else if size == 0 {
			c.charge(costFrame)
		}
		return
	}
	e, waste := s.take(f, data)
	c.mu.Unlock()
	if e != codeNone {
		c.streamError(f.id, e)
	} else if waste {
		c.charge(costFrame)
	}
}

// take appends data to what waits to be read; c.mu is held. waste tells that
// the frame carried next to nothing.
func (s *stream) take(f *frame, data []byte) (e code, waste bool) {
	c := s.c
	s.received += int64(f.length) + frameHead
	if s.recvWindow -= int(f.length); s.recvWindow < 0 {
		c.credit(int(f.length))
		return codeFlow, false
	}
	s.got += int64(len(data))
	end := f.has(flagEndStream)
	if s.length >= 0 && (s.got > s.length || end && s.got != s.length) {
		c.credit(int(f.length))
		return s.mislaid(), false
	}
	s.credit(int(f.length) - len(data)) // padding is consumed at once
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
	return codeNone, !end && len(data) == 0
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
func (s *stream) mislaid() code {
	if s.served {
		return codeProtocol
	}
	s.fault = malformed("body differs from its content-length")
	s.remoteEnd()
	return codeNone
}

// onPriority takes in what RFC 9113 §5.3.2 has deprecated.
func (c *conn) onPriority(f *frame, p []byte) {
	switch {
	case f.id == 0:
		c.abandon(codeProtocol)
	case len(p) != 5:
		c.streamError(f.id, codeFrameSize)
	case binary.BigEndian.Uint32(p)&maxWindow == f.id:
		c.streamError(f.id, codeProtocol)
	default:
		c.charge(costFrame)
	}
}

func (c *conn) onReset(f *frame, p []byte) {
	switch {
	case f.id == 0 || f.id > c.lastID:
		c.abandon(codeProtocol)
		return
	case len(p) != 4:
		c.abandon(codeFrameSize)
		return
	}
	if !c.charge(costReset) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.find(f.id); s != nil {
		s.reset = true
		s.received += frameHead + 4
		c.remove(s, false)
	}
}

func (c *conn) onPing(f *frame, p []byte) {
	switch {
	case f.id != 0:
		c.abandon(codeProtocol)
	case len(p) != 8:
		c.abandon(codeFrameSize)
	case c.charge(costFrame) && !f.has(flagAck):
		c.mu.Lock()
		c.out = append(appendFrame(c.out, 8, framePing, flagAck, 0), p...)
		c.mu.Unlock()
	}
}

func (c *conn) onWindow(f *frame, p []byte) {
	if len(p) != 4 {
		c.abandon(codeFrameSize)
		return
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	if f.id > c.lastID || n == 0 && f.id == 0 {
		c.abandon(codeProtocol)
		return
	}
	if !c.charge(costFrame) {
		return
	}
	if n == 0 {
		c.streamError(f.id, codeProtocol)
		return
	}
	c.mu.Lock()
	if f.id == 0 {
		c.sendWindow += n
		over := c.sendWindow > maxWindow
		c.unblock()
		c.mu.Unlock()
		if over {
			c.abandon(codeFlow)
		}
		return
	}
	s := c.find(f.id)
	if s == nil {
		c.mu.Unlock()
		return
	}
	s.window += n
	over := s.window > maxWindow
	s.cond.Broadcast()
	c.mu.Unlock()
	if over {
		c.streamError(f.id, codeFlow)
	}
}

func (c *conn) onSettings(f *frame, p []byte) {
	ack := f.has(flagAck)
	switch {
	case f.id != 0:
		c.abandon(codeProtocol)
		return
	case ack && len(p) > 0 || len(p)%6 != 0:
		c.abandon(codeFrameSize)
		return
	}
	c.settled = true
	if !c.charge(costFrame*int64(1+len(p)/6)) || ack {
		return
	}
	e := codeNone
	c.mu.Lock()
	for ; len(p) > 0 && e == codeNone; p = p[6:] {
		e = c.setting(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:]))
	}
	c.out = appendFrame(c.out, 0, frameSettings, flagAck, 0)
	c.unblock()
	c.mu.Unlock()
	if e != codeNone {
		c.abandon(e)
	}
}

// setting takes in one setting (RFC 9113 §6.5.2); c.mu is held.
func (c *conn) setting(id uint16, v uint32) code {
	switch id {
	case settingPush:
		if v > 1 {
			return codeProtocol
		}
	case settingFrame:
		if v < maxFrame || v >= 1<<24 {
			return codeProtocol
		}
	case settingWindow:
		if v > maxWindow {
			return codeFlow
		}
		change := int64(v) - c.initial
		c.initial = int64(v)
		for _, s := range c.open {
			if s.window += change; s.window > maxWindow {
				return codeFlow
			}
			s.cond.Broadcast()
		}
	case settingExtended:
		if v > 1 {
			return codeProtocol
		}
	}
	return codeNone
}

// credit gives n bytes of the connection's window back; c.mu is held.
func (c *conn) credit(n int) {
	if c.owed += n; c.owed >= connWindow/4 {
		c.out = appendWindow(c.out, 0, c.owed)
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
	if s.owed += n; s.owed >= streamWindow/2 && !s.remoteEnded && !s.gone {
		s.c.out = appendWindow(s.c.out, s.id, s.owed)
		s.recvWindow += s.owed
		s.owed = 0
	}
}
