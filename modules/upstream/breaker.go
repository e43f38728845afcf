package upstream

import (
	"sync/atomic"
	"time"
)

// The breaker takes a server that cannot be connected to out of rotation at
// once, long before its probes notice, and without touching their verdict.
// Strikes consecutive failures open it for MinEjection; then the server is on
// trial: one exchange at a time may try it. A success closes the breaker, one
// more failure opens it again for twice as long, MaxEjection at most.
const (
	Strikes     = 3
	MinEjection = time.Second
	MaxEjection = 10 * time.Second
)

const (
	closed int32 = iota // in rotation
	open                // out of rotation until the timer puts it on trial
	trial               // in rotation, nobody tries it right now
	trying              // in rotation, one exchange is trying it
)

type breaker struct {
	state   atomic.Int32
	strikes atomic.Int32
	times   atomic.Int32 // ejections without a success between
}

func (b *breaker) reset() {
	b.strikes.Store(0)
	b.times.Store(0)
	b.state.Store(closed)
}

// Ejected reports whether the server is out of rotation for failures to connect.
func (l *Live) Ejected() bool { return l.breaker.state.Load() == open }

func (l *Live) trying() bool { return l.breaker.state.Load() == trying }

// try asks for leave to use the server; tried tells that this one is the trial.
func (l *Live) try() (tried, ok bool) {
	switch l.breaker.state.Load() {
	case trial:
		ok = l.breaker.state.CompareAndSwap(trial, trying)
		return ok, ok
	case trying:
		return false, false
	}
	return false, true
}

// untry ends a trial that nobody reported on, such as one whose client left.
// An older exchange that ends meanwhile does the same, which at worst lets a
// second one try.
func (l *Live) untry() {
	if l.breaker.state.Load() == trying {
		l.breaker.state.CompareAndSwap(trying, trial)
	}
}

// Connected notes that a connection stood: strikes are forgotten, a trial is
// won. It writes only when there is something to forget.
func (l *Live) Connected() {
	b := &l.breaker
	if b.strikes.Load() != 0 {
		b.strikes.Store(0)
	}
	if s := b.state.Load(); s == trial || s == trying {
		b.reset()
		l.watch.reset()
		l.notify(Change{Kind: Reprieves})
	}
}

// Strike notes a failure to connect and tells whether the server has earned an
// ejection.
func (l *Live) Strike() (out bool) {
	l.Failed.Add(1)
	n := l.breaker.strikes.Add(1)
	return n >= Strikes && l.breaker.state.Load() != open
}

// Eject puts the server out of rotation and arms the timer that puts it on
// trial. Of several callers one wins.
func (l *Live) Eject() { l.EjectFor(Ejection{Base: MinEjection, Max: MaxEjection}) }

// Pardon closes the breaker without a trial, for a pool that has nobody else.
func (l *Live) Pardon() {
	if l.breaker.state.Load() != closed {
		l.breaker.state.Store(closed)
	}
}
