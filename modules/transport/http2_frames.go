package transport

import (
	"encoding/binary"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// frames takes in the whole frames that have been read; mu is held.
func (m *mux) frames() {
	for m.failed == nil {
		p := m.buf[m.r:m.w]
		if len(p) < h2.FrameHead {
			break
		}
		f := h2.ParseFrame(p)
		if !m.greeted && (f.Kind != h2.TypeSettings || f.Has(h2.FlagAck)) || f.Length > h2.MaxFrame {
			m.protest(h2.CodeProtocol)
			return
		}
		end := h2.FrameHead + int(f.Length)
		if len(p) < end {
			break
		}
		m.r += end
		m.frame(&f, p[h2.FrameHead:end:end])
	}
	if m.r > 0 {
		m.w = copy(m.buf, m.buf[m.r:m.w])
		m.r = 0
	}
}

// protest ends a connection whose server does not keep to the protocol; mu is held.
func (m *mux) protest(e h2.Code) {
	if !m.closed {
		m.closed = true // by us, once we have said why
		m.watch.Stop()
		_ = m.nc.SetWriteDeadline(time.Now().Add(time.Second))
		go func() {
			_, _ = m.nc.Write(h2.AppendGoAway(nil, 0, e))
			_ = m.nc.Close()
		}()
	}
	m.break_(&flow.Error{
		Side: flow.SideServer, Phase: flow.PhaseHeaders, Status: 502, Cause: "invalid answer", Err: &flow.Reset{Code: uint32(e)}, Begun: true,
	})
}

// frame takes in one frame. p dies with the next read. mu is held.
func (m *mux) frame(f *h2.Frame, p []byte) {
	if m.blk.open && (f.Kind != h2.TypeContinuation || f.ID != m.blk.id) {
		m.protest(h2.CodeProtocol)
		return
	}
	switch f.Kind {
	case h2.TypeData:
		m.pings = 0
		m.onData(f, p)
	case h2.TypeHeaders:
		m.pings = 0
		m.onHeaders(f, p)
	case h2.TypeContinuation:
		m.onContinuation(f, p)
	case h2.TypePush:
		m.protest(h2.CodeProtocol) // we said that we take none
	default:
		m.control(f, p)
	}
}

// control takes in a frame that carries nothing of an answer; mu is held.
func (m *mux) control(f *h2.Frame, p []byte) {
	want, whole := -1, false // its length, and whether it is the connection's
	switch f.Kind {
	case h2.TypeReset, h2.TypeWindow:
		want = 4
	case h2.TypePing:
		want, whole = 8, true
	case h2.TypePriority:
		want = 5
	case h2.TypeSettings:
		whole = true
		if want = len(p) / 6 * 6; f.Has(h2.FlagAck) {
			want = 0
		}
	case h2.TypeGoAway:
		if whole = true; len(p) < 8 {
			want = 8
		}
	default: // RFC 9113 §4.1: unknown types are ignored
		return
	}
	switch {
	case want >= 0 && len(p) != want:
		m.protest(h2.CodeFrameSize)
		return
	case whole && f.ID != 0, !whole && f.ID == 0 && f.Kind != h2.TypeWindow, !whole && m.idle(f.ID):
		m.protest(h2.CodeProtocol)
		return
	}
	switch f.Kind {
	case h2.TypeReset:
		m.onReset(f.ID, h2.Code(binary.BigEndian.Uint32(p)))
	case h2.TypeWindow:
		m.onWindow(f.ID, int64(binary.BigEndian.Uint32(p)&h2.MaxWindow))
	case h2.TypePing:
		if !f.Has(h2.FlagAck) && len(m.out) < 2*outLimit {
			m.out = append(h2.AppendFrame(m.out, 8, h2.TypePing, h2.FlagAck, 0), p...)
		}
	case h2.TypeSettings:
		if !f.Has(h2.FlagAck) {
			m.onSettings(p)
		}
	case h2.TypeGoAway:
		m.onGoAway(binary.BigEndian.Uint32(p)&h2.MaxWindow, h2.Code(binary.BigEndian.Uint32(p[4:])))
	}
}

// idle reports whether a stream was never opened by us.
func (m *mux) idle(id uint32) bool { return id != 0 && (id&1 == 0 || id >= m.nextID) }

// onData hands a stretch of an answer's body to its stream (RFC 9113 §6.1). The
// connection's window is given back at once, whatever becomes of it.
func (m *mux) onData(f *h2.Frame, p []byte) {
	data, ok := h2.Unpad(f, p)
	if f.ID == 0 || !ok || m.idle(f.ID) {
		m.protest(h2.CodeProtocol)
		return
	}
	if m.owed += len(p); m.owed >= connWindow/4 {
		m.out = h2.AppendWindow(m.out, 0, m.owed)
		m.owed = 0
	}
	s := m.find(f.ID)
	if s == nil {
		return // it was on its way when the stream was cut
	}
	if s.remoteEnded {
		s.malformed(h2.CodeClosed)
		return
	}
	if s.recvWindow -= len(p); s.recvWindow < 0 {
		s.malformed(h2.CodeFlow)
		return
	}
	s.got += int64(len(data))
	end := f.Has(h2.FlagEndStream)
	if !s.headed || s.nobody && len(data) > 0 || s.mislaid(end) {
		s.malformed(h2.CodeProtocol)
		return
	}
	s.credit(len(p) - len(data)) // padding is consumed at once
	if s.closed {
		s.credit(len(data))
	} else if len(data) > 0 {
		s.append(data)
		s.cond.Broadcast()
	}
	if end {
		s.remoteEnd()
	}
}

// mislaid reports whether a body is not as long as was announced (RFC 9113 §8.1.1).
func (s *stream) mislaid(end bool) bool {
	n := s.head.length
	return !s.nobody && n >= 0 && (s.got > n || end && s.got != n)
}

// append grows in steps: a server that sends little must not cost much.
func (s *stream) append(data []byte) {
	if need := len(s.in) + len(data); need > cap(s.in) {
		step := 4 << 10
		for step < need {
			step *= 2
		}
		grown := make([]byte, len(s.in), step)
		copy(grown, s.in)
		s.in = grown
	}
	s.in = append(s.in, data...)
}

// credit gives n bytes of the stream's window back; m.mu is held.
func (s *stream) credit(n int) {
	if n == 0 {
		return
	}
	if s.owed += n; s.owed >= streamWindow/2 && !s.remoteEnded && !s.gone && s.m.failed == nil {
		s.m.out = h2.AppendWindow(s.m.out, s.id, s.owed)
		s.recvWindow += s.owed
		s.owed = 0
	}
}

// malformed ends a stream whose server sent what is no answer; m.mu is held.
func (s *stream) malformed(e h2.Code) {
	phase, cause := flow.PhaseHeaders, "invalid answer"
	if s.headed {
		phase, cause = flow.PhaseData, "invalid body"
	}
	s.cut(e)
	s.fail(&flow.Error{Side: flow.SideProxy, Phase: phase, Status: 502, Cause: cause, Err: errMalformed, Begun: true})
}

// onReset is a stream that the server has cut (RFC 9113 §6.4).
func (m *mux) onReset(id uint32, e h2.Code) {
	s := m.find(id)
	if s == nil {
		return
	}
	s.reset = true
	switch {
	case s.remoteEnded: // the answer is whole: the request's rest is not wanted
		s.stopped = true
	case e == h2.CodeRefused && !s.headed && s.informed == 0: // §8.7: nothing was done about it
		s.fail(&flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "server refused the stream", Err: &flow.Reset{Code: uint32(e)}})
	default:
		fault := &flow.Error{
			Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "server reset the stream", Err: &flow.Reset{Code: uint32(e)}, Begun: true,
		}
		if s.headed {
			fault.Phase = flow.PhaseData
		}
		s.fail(fault)
	}
	m.remove(s)
}

func (m *mux) onWindow(id uint32, n int64) {
	if id == 0 {
		if m.window += n; n == 0 || m.window > h2.MaxWindow {
			m.protest(h2.CodeFlow)
			return
		}
		m.unblock()
		return
	}
	s := m.find(id)
	if s == nil {
		return
	}
	if s.window += n; n == 0 || s.window > h2.MaxWindow {
		s.malformed(h2.CodeFlow)
		return
	}
	s.cond.Broadcast()
}

// onSettings takes in the server's settings (RFC 9113 §6.5.2); mu is held.
func (m *mux) onSettings(p []byte) {
	for ; len(p) > 0; p = p[6:] {
		v := binary.BigEndian.Uint32(p[2:])
		switch binary.BigEndian.Uint16(p) {
		case h2.SettingPush:
			if v > 0 {
				m.protest(h2.CodeProtocol)
				return
			}
		case h2.SettingStreams:
			m.limit = int(min(v, maxStreams))
			m.set.mux.room.Store(int64(max(m.limit, 1)))
		case h2.SettingWindow:
			if v > h2.MaxWindow {
				m.protest(h2.CodeFlow)
				return
			}
			change := int64(v) - m.initial
			m.initial = int64(v)
			for _, s := range m.open {
				if s.window += change; s.window > h2.MaxWindow {
					m.protest(h2.CodeFlow)
					return
				}
				s.cond.Broadcast()
			}
		case h2.SettingFrame:
			if v < h2.MaxFrame || v >= 1<<24 {
				m.protest(h2.CodeProtocol)
				return
			}
		case h2.SettingExtended:
			m.extended = v == 1
		}
	}
	m.out = h2.AppendFrame(m.out, 0, h2.TypeSettings, h2.FlagAck, 0)
	m.settle()
	m.unblock()
}

// onGoAway is a server that takes no more streams (RFC 9113 §6.8): those above last
// were not looked at, and are safe to be sent elsewhere; the others go on.
func (m *mux) onGoAway(last uint32, e h2.Code) {
	m.leave()
	for i := len(m.open) - 1; i >= 0; i-- {
		s := m.open[i]
		if s.id <= last {
			continue
		}
		s.fail(&flow.Error{
			Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "server is going away", Err: &flow.Reset{Code: uint32(e)}, Stale: true,
		})
		s.reset = true
		m.remove(s)
	}
}
