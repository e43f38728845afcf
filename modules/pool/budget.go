package pool

import (
	"sync/atomic"
	"time"
)

// budget keeps retries a share of the requests, so that a pool which is sick is
// not drowned in repetitions of what it cannot serve. It counts both over a
// window rather than in progress: when one of two servers is killed, half of
// what is in progress fails in one moment and must not be refused its retry.
//
// Everything is an atomic. Two retries that ask at the same moment may both get
// the last one of the budget.
type budget struct {
	percent int64
	slots   [budgetSlots]budgetSlot
}

const (
	budgetSlots = 10          // the window, in slots
	budgetSpan  = time.Second // one slot
	// budgetFloor is what may be retried in a window whatever the requests: a
	// pool with little traffic has retries, too.
	budgetFloor = 100
)

type budgetSlot struct {
	number   atomic.Int64
	requests atomic.Int64
	retries  atomic.Int64
}

// at gives the slot of a moment, emptied if it is of an older window.
func (b *budget) at(now int64) *budgetSlot {
	n := now / int64(budgetSpan)
	s := &b.slots[uint64(n)%budgetSlots]
	if old := s.number.Load(); old != n && s.number.CompareAndSwap(old, n) {
		s.requests.Store(0)
		s.retries.Store(0)
	}
	return s
}

// request counts one request at a moment (flow.Now).
func (b *budget) request(now int64) { b.at(now).requests.Add(1) }

// retry asks for one retry, and counts it if it is granted.
func (b *budget) retry(now int64) bool {
	current := b.at(now)
	oldest := now/int64(budgetSpan) - budgetSlots
	var requests, retries int64
	for i := range b.slots {
		if s := &b.slots[i]; s.number.Load() > oldest {
			requests += s.requests.Load()
			retries += s.retries.Load()
		}
	}
	if retries >= max(budgetFloor, requests*b.percent/100) {
		return false
	}
	current.retries.Add(1)
	return true
}
