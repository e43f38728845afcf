package pool

import (
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// The errors of Acquire that carry nothing of the exchange. They are shared and
// not to be changed.
var (
	errNoServer  = &flow.Error{Side: flow.SideServer, Phase: flow.PhaseConnect, Status: 503, Cause: "no usable server"}
	errQueueFull = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseQueue, Status: 503, Cause: "queue full"}
	errQueueTime = &flow.Error{Side: flow.SideServer, Phase: flow.PhaseQueue, Timeout: true, Status: 503, Cause: "queue timeout"}
	errQueueLeft = &flow.Error{Side: flow.SideClient, Phase: flow.PhaseQueue, Status: 503, Cause: "client left the queue"}
)

// attempts bounds how often a slot may be lost to others between choosing a
// server and taking its slot before the queue is asked, which is exact.
const attempts = 3

// Acquire chooses a server and takes one of its slots, waiting for one if it
// must: in the line of the server that a hash or persistence binds it to, or in
// the pool's. Each success is followed by one Release, and by Report for what
// became of connecting. It writes the moments of queueing and the places in
// line to r.
//
// Its errors: 503 "no usable server" (flags SC) at once when all are down, 503
// "queue timeout" (sQ), 503 "queue full" (PQ), and CQ when a.Done was closed or
// a.Leaver says that the client has left.
func (p *Pool) Acquire(a *balancer.Ask, r *flow.Record) (*upstream.Server, *flow.Error) {
	now := flow.Now()
	if r.Timings.Queued == 0 {
		r.Timings.Queued = now
		p.budget.request(now)
	}
	set := p.set.Load()
	for range attempts {
		s := p.choose(set, a)
		if s == nil || a.Bound {
			if s == nil && set.picker == nil {
				return nil, errNoServer
			}
			if s != nil && s.Live.Queued() == 0 && s.TakeForced() {
				return set.took(s, r, now), nil
			}
			break
		}
		if s.Take() {
			return set.took(s, r, now), nil
		}
	}
	return p.wait(a, r)
}

// choose picks a server; a.Bound tells that it, and only it, will do. Without a
// slot at once it gives nil.
func (p *Pool) choose(set *set, a *balancer.Ask) *upstream.Server {
	a.Bound = false
	if f := a.Forced; f != nil && f != a.Tried && f.Up() {
		a.Bound = true
		return f
	}
	if set.picker == nil || p.live.Queue.AnyWaiting() > 0 {
		return nil
	}
	return set.picker.Pick(a)
}

func (s *set) took(srv *upstream.Server, r *flow.Record, now int64) *upstream.Server {
	if s.tracker != nil {
		s.tracker.Update(srv)
	}
	r.Timings.Slot = now
	return srv
}

// Release gives the slot of s back, or hands it to who has waited longest.
func (p *Pool) Release(s *upstream.Server) {
	q := &p.live.Queue
	if q.Waiting() > 0 && p.hand(s) {
		return
	}
	s.Give()
	p.touch(s)
	// Who began to wait between the first look and Give may have missed
	// the slot; see upstream.Queue.Enter.
	if q.Waiting() > 0 {
		p.fill(s)
	}
}

// touch tells a picker that keeps an order that the load of s has changed.
func (p *Pool) touch(s *upstream.Server) {
	if t := p.set.Load().tracker; t != nil {
		t.Update(s)
	}
}

// Outcome is what became of a try.
type Outcome uint8

// The outcomes.
const (
	Connected     Outcome = iota // a connection stood, new or reused
	ConnectFailed                // refused, unreachable or timed out
	AnswerFailed                 // closed, invalid or late before or in the answer
)

// Report notes what became of a try at s, before its Release. A server that
// cannot be connected to is taken out of rotation while others are usable.
func (p *Pool) Report(s *upstream.Server, o Outcome) {
	if p.passive != nil {
		p.witness(s, o)
	}
	switch o {
	case Connected:
		s.Live.Connected()
	case ConnectFailed:
		s.Group.Failed.Add(1)
		if !s.Live.Strike() {
			return
		}
		if p.others(s) {
			s.Live.Eject()
		} else {
			s.Live.Pardon()
		}
	case AnswerFailed:
		s.Live.Errors.Add(1)
		s.Group.Errors.Add(1)
	}
}

// MayRetry asks for one more try from the pool's budget of retries, and takes it
// from there.
func (p *Pool) MayRetry() bool { return p.budget.retry(flow.Now()) }

// others reports whether somebody else is usable.
func (p *Pool) others(s *upstream.Server) bool {
	for _, o := range p.servers {
		if o != s && o.Usable() {
			return true
		}
	}
	return false
}
