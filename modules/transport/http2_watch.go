package transport

import (
	"os"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// alarm has somebody look at the moment at, or before. One timer serves all
// streams, and is set anew only by who waits for less than all others do: an
// exchange that is answered in time costs none. mu is held.
func (m *mux) alarm(at int64) {
	if m.watchAt != 0 && m.watchAt <= at || m.closed {
		return
	}
	m.watchAt = at
	m.watch.Reset(max(flow.Time(at).Sub(flow.Time(flow.Now())), 0))
}

// look wakes streams that have waited for too long, asks for signs of life, and
// ends a connection that gives none or that nobody needs.
func (m *mux) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchAt = 0
	if m.closed {
		return
	}
	now, next := flow.Now(), int64(0)
	sooner := func(at int64) {
		if at > now && (next == 0 || at < next) {
			next = at
		}
	}
	for _, s := range m.open {
		if s.late(now) {
			s.cond.Broadcast()
		}
		sooner(s.readBy)
		sooner(s.writeBy)
	}
	switch {
	case m.pingAt > 0 && now-m.pingAt >= m.pingLimit:
		// Not an end in order: what was never acknowledged may still arrive, once the
		// network is whole again.
		m.break_(&flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Timeout: true, Cause: "server gives no sign of life", Err: os.ErrDeadlineExceeded})
		return
	case m.pingAt > 0:
		sooner(m.pingAt + m.pingLimit)
	}
	if len(m.open) == 0 {
		if now-m.idleSince >= m.idleFor {
			m.leave()
			m.finish()
			return
		}
		middle := m.idleSince + m.idleFor/2
		if now >= middle && m.lastIn < middle && m.pings == 0 {
			m.ping(now)
			sooner(now + m.pingLimit)
			m.kick()
		}
		sooner(middle)
		sooner(m.idleSince + m.idleFor)
	}
	if next > 0 {
		m.alarm(next)
	}
}

// ping asks for a sign of life (RFC 9113 §6.7), unless one is waited for, or too
// many were asked for already. mu is held.
func (m *mux) ping(now int64) {
	if m.pingAt > 0 || m.pings >= maxPings {
		return
	}
	m.pings++
	m.pingAt = now
	m.out = append(h2.AppendFrame(m.out, 8, h2.TypePing, 0, 0), "loadstar"...)
	m.alarm(now + m.pingLimit)
}

// wake has a stream's deadlines looked at in time; mu is held.
func (s *stream) until(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	at := flow.Now() + int64(d)
	s.m.alarm(at)
	return at
}

// late reports whether somebody has waited for too long; mu is held.
func (s *stream) late(now int64) bool {
	return s.readBy > 0 && now >= s.readBy || s.writeBy > 0 && now >= s.writeBy
}
