package transport

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// muxes are the HTTP/2 connections of one key. Exchanges share them, and find them
// without a lock.
type muxes struct {
	list  atomic.Pointer[[]*mux]
	h1    atomic.Int64 // when a server that may choose has chosen HTTP/1; 0: it has not
	room  atomic.Int64 // streams that the server took on a connection, the last time; 0: not known
	mu    sync.Mutex
	dials []*dialing
	gone  bool // closed for good
}

// dialing is a connection in the making. Exchanges that come meanwhile wait for it
// rather than make one each.
type dialing struct {
	label
	waiting int
	done    chan struct{}
	// Good after done:
	m     *mux // nil without a fault: the server speaks HTTP/1
	fault *flow.Error
}

// relearn is after what time a server that chose HTTP/1 is asked again.
const relearn = 5 * time.Minute

// speaksH1 reports whether the server chose HTTP/1 when it was asked last.
func (i *Idle) speaksH1() bool {
	at := i.mux.h1.Load()
	return at != 0 && flow.Now()-at < int64(relearn)
}

func (s *muxes) all() []*mux {
	if l := s.list.Load(); l != nil {
		return *l
	}
	return nil
}

// add and remove change the list; mu is held.
func (s *muxes) add(m *mux) {
	l := append(slices.Clone(s.all()), m)
	s.list.Store(&l)
}

// remove forgets a connection that takes no more streams.
func (s *muxes) remove(m *mux) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := slices.DeleteFunc(slices.Clone(s.all()), func(o *mux) bool { return o == m })
	s.list.Store(&l)
}

// join makes a connection, or waits for one that is being made and that has room.
func (i *Idle) join(s *upstream.Server, who *caller) (*mux, *flow.Error) {
	set := &i.mux
	room := int(set.room.Load())
	if room == 0 {
		room = maxStreams
	}
	set.mu.Lock()
	for _, d := range set.dials {
		if d.label == who.label && d.waiting < room {
			d.waiting++
			set.mu.Unlock()
			<-d.done
			if d.fault != nil {
				fault := *d.fault // whoever waits may add to it
				return nil, &fault
			}
			return d.m, nil
		}
	}
	for _, m := range set.all() { // one may have been made since the caller looked
		if m.label == who.label && m.roomy() {
			set.mu.Unlock()
			return m, nil
		}
	}
	d := &dialing{label: who.label, waiting: 1, done: make(chan struct{})}
	set.dials = append(set.dials, d)
	set.mu.Unlock()

	d.m, d.fault = i.dial(s, who)
	set.mu.Lock()
	set.dials = slices.DeleteFunc(set.dials, func(o *dialing) bool { return o == d })
	if d.m != nil && d.m.roomy() {
		set.add(d.m)
		if set.gone {
			d.m.retire()
		}
	}
	set.mu.Unlock()
	close(d.done)
	return d.m, d.fault
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

// drop lets the connections go once their exchanges have ended.
func (s *muxes) drop(forever bool) {
	s.mu.Lock()
	s.gone = s.gone || forever
	all := s.all()
	s.list.Store(nil)
	s.mu.Unlock()
	for _, m := range all {
		m.retire()
	}
}
