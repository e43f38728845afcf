package pool

import (
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// wait stands in line until there is a slot, the time is over, or the client
// has left.
func (p *Pool) wait(a *balancer.Ask, r *flow.Record) (*upstream.Server, *flow.Error) {
	var timeout <-chan time.Time
	if d := p.Timeouts.Queue; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timeout = t.C
	}
	var look <-chan time.Time
	if a.Leaver != nil {
		t := time.NewTicker(leaverLook)
		defer t.Stop()
		look = t.C
	}
	w := upstream.NewWaiter(p)
	w.Priority = a.Priority
	for {
		if err := p.enter(w, a, r); err != nil {
			return nil, err
		}
		s, err := p.await(w, a, timeout, look)
		if err != nil {
			return nil, err
		}
		if s != nil {
			r.Timings.Slot = flow.Now()
			return s, nil
		}
		// The server it waited for went down: choose anew.
	}
}

// leaverLook is how often who waits looks whether its client is still there. A
// client's end wakes nobody while its own goroutine waits here; a look is one
// system call of half a microsecond.
const leaverLook = 100 * time.Millisecond

// await blocks until the waiter is served; nil, nil asks to choose anew.
func (p *Pool) await(w *upstream.Waiter, a *balancer.Ask, timeout, look <-chan time.Time) (*upstream.Server, *flow.Error) {
	var err *flow.Error
	for err == nil {
		select {
		case s := <-w.Ready:
			return s, nil
		case <-timeout:
			err = errQueueTime
		case <-a.Done:
			err = errQueueLeft
		case <-look:
			if a.Leaver.Left() {
				err = errQueueLeft
			}
		}
	}
	q := &p.live.Queue
	q.Lock()
	left := q.Leave(w, p.live)
	if w.For != nil {
		p.touch(w.For)
	}
	q.Unlock()
	if left {
		return nil, err
	}
	// Served at the very moment. A slot had is used unless nobody is there to
	// use it.
	s := <-w.Ready
	if s == nil {
		return nil, err
	}
	if err == errQueueLeft {
		p.Release(s)
		return nil, err
	}
	return s, nil
}

// enter puts the waiter in the line where it belongs now.
func (p *Pool) enter(w *upstream.Waiter, a *balancer.Ask, r *flow.Record) *flow.Error {
	q := &p.live.Queue
	q.Lock()
	defer q.Unlock()
	set := p.set.Load()
	bound := p.bound(set, a)
	if bound == nil && set.picker == nil {
		return errNoServer
	}
	if bound != nil && bound.Maxqueue > 0 && bound.Live.Queued() >= int64(bound.Maxqueue) {
		bound = nil // its line is full: any other server, then
		if set.picker == nil {
			return errQueueFull
		}
	}
	if p.queueSize > 0 && p.live.Queued() >= p.queueSize {
		return errQueueFull
	}
	w.For = bound
	ahead := q.Enter(w, p.live)
	if bound != nil {
		r.ServerQueue = ahead
		p.touch(bound)
		p.fillLocked(bound)
	} else {
		r.PoolQueue = ahead
		// Who stands behind one of the same generation need not look: had
		// there been a slot, that one would have it. A look costs a walk over
		// all servers when all are full.
		if ahead == 0 || set.grows || q.First().Of != upstream.Finder(p) {
			p.fillAnyLocked(set)
		}
	}
	return nil
}

// bound gives the one server that will do, nil if any does.
func (p *Pool) bound(set *set, a *balancer.Ask) *upstream.Server {
	a.Bound = false
	if f := a.Forced; f != nil && f != a.Tried && f.Up() {
		return f
	}
	if !set.binds {
		return nil
	}
	if s := set.picker.Pick(a); s != nil && a.Bound {
		return s
	}
	return nil
}

// hand gives a slot of s, still taken, to who has waited longest for it. It is
// false when nobody has, or the slot is not to be used any more.
func (p *Pool) hand(s *upstream.Server) bool {
	q := &p.live.Queue
	q.Lock()
	defer q.Unlock()
	if !s.Up() {
		return false
	}
	if limit := s.Limit(); limit != 0 && s.Live.Active() > limit {
		return false
	}
	w, to := q.Oldest(s.Live)
	if w == nil {
		return false
	}
	q.Leave(w, p.live)
	p.touch(s)
	s.Live.Total.Add(1)
	s.Group.Total.Add(1)
	w.Ready <- to
	return true
}

// fill hands free slots of s to those who wait.
func (p *Pool) fill(s *upstream.Server) {
	p.live.Queue.Lock()
	p.fillLocked(s)
	p.live.Queue.Unlock()
}

func (p *Pool) fillLocked(s *upstream.Server) (served bool) {
	q := &p.live.Queue
	for s.Up() {
		w, to := q.Oldest(s.Live)
		if w == nil || !takeFor(w, to) {
			break
		}
		q.Leave(w, p.live)
		p.touch(s)
		w.Ready <- to
		served = true
	}
	return served
}

func takeFor(w *upstream.Waiter, s *upstream.Server) bool {
	if w.For != nil {
		return s.TakeForced()
	}
	return s.Take()
}

// fillAnyLocked hands free slots of whatever server the picker names to those
// who wait for any.
func (p *Pool) fillAnyLocked(set *set) {
	var a balancer.Ask
	for p.live.Queue.AnyWaiting() > 0 && set.picker != nil {
		s := set.picker.Pick(&a)
		if s == nil || !p.fillLocked(s) {
			return
		}
	}
}
