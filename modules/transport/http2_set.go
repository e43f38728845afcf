package transport

import (
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// muxes are the HTTP/2 connections of one key.
type muxes struct {
	sharing[*mux]
	h1 atomic.Int64 // when a server that may choose has chosen HTTP/1; 0: it has not
}

// relearn is after what time a server that chose HTTP/1 is asked again.
const relearn = 5 * time.Minute

// speaksH1 reports whether the server chose HTTP/1 when it was asked last.
func (i *Idle) speaksH1() bool {
	at := i.mux.h1.Load()
	return at != 0 && flow.Now()-at < int64(relearn)
}

// dial connects, and agrees on HTTP/2; see dialing for what nil means.
func (i *Idle) dial(s *upstream.Server, who *caller) (*mux, *flow.Error) {
	began := flow.Now()
	nc, fault := dialFor(s, who, protocolsOf(s))
	if fault != nil {
		return nil, fault
	}
	idleFor := s.Timeouts.Idle
	if idleFor <= 0 {
		idleFor = time.Minute
	}
	if s.TLS != nil && agreed(nc) != "h2" {
		if s.Protocol != upstream.Auto {
			_ = nc.Close()
			return nil, &flow.Error{
				Side: flow.SideServer, Phase: flow.PhaseConnect, Cause: "server does not speak HTTP/2",
			}
		}
		c := open(nc, i, idleFor)
		c.made(who)
		c.idleSince = flow.Now()
		if !i.put(c) {
			_ = c.Close()
		}
		i.mux.h1.Store(flow.Now())
		return nil, nil
	}
	i.mux.h1.Store(0)
	m := newMux(nc, s, i)
	m.idleFor = int64(idleFor)
	m.made(who)
	left := time.Duration(0)
	if d := s.Timeouts.Connect; d > 0 {
		left = max(d-time.Duration(flow.Now()-began), time.Millisecond)
	}
	if fault := m.greet(left); fault != nil {
		return nil, fault
	}
	return m, nil
}
