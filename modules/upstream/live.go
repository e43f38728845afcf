package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/measure"
)

// Verdict is what active probes say of a server.
type Verdict int32

// The verdicts. A server without probes, or not probed yet, is Up.
const (
	Up Verdict = iota
	Down
)

// String gives the word of logs.
func (v Verdict) String() string {
	if v == Down {
		return "DOWN"
	}
	return "UP"
}

// Live is what outlives a configuration of one server (or, with a Key that has
// a Pool only, of one pool). Everything on the hot path is an atomic. The zero
// value is ready: up, idle, never probed.
type Live struct {
	slots  atomic.Int64 // exchanges and streams in progress
	queued atomic.Int64 // who waits for a slot of this one

	Total        atomic.Int64 // exchanges and streams given to it
	Failed       atomic.Int64 // failures to connect
	Errors       atomic.Int64 // answers broken, missing or too late
	Retries      atomic.Int64 // tries repeated after a failure here
	Redispatches atomic.Int64 // of those, tries repeated on another server

	// Traffic is what became of exchanges and streams, by their records.
	Traffic measure.Traffic
	// Checks is what probes found lately.
	Checks Checks

	verdict atomic.Int32
	changed atomic.Int64 // flow.Now of the last change of the verdict; 0: never
	counter atomic.Int32 // the rise/fall counter plus one; 0: not probed yet
	ramp    atomic.Int32 // percent of weight and limit while starting slowly; 0: all
	breaker breaker
	watch   watch  // what live traffic says
	agent   agent  // what an agent beside the server says
	orders  orders // what an operator says

	// Turn counts the turns that were taken; it is used in a pool's own Live, so
	// that a reload or a server's fall does not begin them anew.
	Turn atomic.Uint64
	// Latency is how long the server takes to answer, where it is measured.
	Latency Latency

	// Queue orders who waits; it is used in a pool's own Live.
	Queue   Queue
	waiting list // who waits for this server; guarded by the pool's Queue

	mu    sync.Mutex
	owner any
	subs  []*subscription
}

// NewLive gives the Live of a server, or of a pool, that nobody knew before.
func NewLive() *Live { return new(Live) }

// Active is the number of exchanges and streams in progress.
func (l *Live) Active() int64 { return l.slots.Load() }

// Queued is the number of those who wait: in a server's Live those who wait for
// this very server, in a pool's Live all of the pool.
func (l *Live) Queued() int64 { return l.queued.Load() }

// Load is what leastconn compares: in progress and waiting.
func (l *Live) Load() int64 { return l.slots.Load() + l.queued.Load() }

// Verdict gives what probes say.
func (l *Live) Verdict() Verdict { return Verdict(l.verdict.Load()) }

// Changed gives the flow.Now of the last change of the verdict, 0 if it never
// changed.
func (l *Live) Changed() int64 { return l.changed.Load() }

// Counter gives the rise/fall counter; ok is false before the first probe.
func (l *Live) Counter() (n int, ok bool) {
	c := l.counter.Load()
	return int(c) - 1, c > 0
}

// SetCounter stores the rise/fall counter, for reports and for the next monitor.
func (l *Live) SetCounter(n int) { l.counter.Store(int32(n) + 1) }

// SetRamp sets how much of its weight and limit a starting server has, in
// percent; 100 or more ends the slow start.
func (l *Live) SetRamp(percent int) {
	if percent >= 100 {
		percent = 0
	}
	l.ramp.Store(int32(percent))
}

// Ramp gives what SetRamp set, 100 when not starting slowly.
func (l *Live) Ramp() int {
	if r := l.ramp.Load(); r != 0 {
		return int(r)
	}
	return 100
}

// SetVerdict stores a verdict and tells the subscribers, if it is a new one. A
// server that comes up starts with a clean slate for passive ejection.
func (l *Live) SetVerdict(v Verdict, why string) (changed bool) {
	l.mu.Lock()
	owner := l.owner
	l.mu.Unlock()
	return l.Judge(owner, v, why)
}

// Judge is SetVerdict by one who may have lost the right to speak for the server:
// it does nothing unless Own named by last.
func (l *Live) Judge(by any, v Verdict, why string) (changed bool) {
	l.mu.Lock()
	if l.owner != by || Verdict(l.verdict.Load()) == v {
		l.mu.Unlock()
		return false
	}
	now := flow.Now()
	l.Checks.turned(v, now)
	l.verdict.Store(int32(v))
	l.changed.Store(now)
	l.mu.Unlock()
	if v == Up {
		l.breaker.reset()
		l.watch.reset()
	}
	l.notify(Change{Kind: Verdicts, Verdict: v, Why: why})
	return true
}

// Presume sets the verdict with which a server starts that nobody has probed, in
// silence: it is no change of its state.
func (l *Live) Presume(by any, v Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner == by {
		l.Checks.presumed(v, flow.Now())
		l.verdict.Store(int32(v))
	}
}

// Kind tells what changed.
type Kind uint8

// The kinds of changes.
const (
	Verdicts  Kind = iota // the probes' verdict
	Ejections             // put out of rotation by failures to connect
	Trials                // back in rotation, on trial
	Reprieves             // the trial went well
	Advised               // an agent's word on the server
	Ordered               // an operator's word on the server
)

// Change is what subscribers are told.
type Change struct {
	Kind    Kind
	Verdict Verdict
	Why     string
	For     time.Duration // of an ejection
}

type subscription struct{ tell func(Change) }

// Subscribe has tell called after each change, until cancel is called. Calls
// come from the goroutine that made the change, without locks held.
func (l *Live) Subscribe(tell func(Change)) (cancel func()) {
	s := &subscription{tell: tell}
	l.mu.Lock()
	// A new slice each time: notify walks the old one without the lock.
	l.subs = append(l.subs[:len(l.subs):len(l.subs)], s)
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		kept := make([]*subscription, 0, len(l.subs))
		for _, o := range l.subs {
			if o != s {
				kept = append(kept, o)
			}
		}
		l.subs = kept
	}
}

func (l *Live) notify(c Change) {
	l.mu.Lock()
	subs := l.subs
	l.mu.Unlock()
	for _, s := range subs {
		s.tell(c)
	}
}

// Own names who may speak for the server: the newest monitor of a server, the
// newest generation of a pool. Those before it see that they no longer do.
func (l *Live) Own(owner any) {
	l.mu.Lock()
	l.owner = owner
	l.mu.Unlock()
}

// Owner gives whom Own named last.
func (l *Live) Owner() any {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owner
}
