package listener

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// trimmer gives memory back to the system after a burst. The hot path allocates
// nothing, so the collector has no reason to run by itself, and what ten
// thousand exchanges at a time needed would stay for minutes.
type trimmer struct {
	parked  atomic.Int64 // connections parked since the last trim
	pending atomic.Bool
	next    atomic.Int64 // flow.Now before which no trim is done
}

const (
	// trimAfter connections have gone idle, there is something to give back.
	trimAfter = 1000
	// trimDelay is how long a burst must have been over.
	trimDelay = 200 * time.Millisecond
	// trimShare holds trims to one part in so many of the time.
	trimShare = 200
)

// park notes that a connection has gone idle for longer.
func (t *trimmer) park() {
	if t.parked.Add(1) < trimAfter || !t.pending.CompareAndSwap(false, true) {
		return
	}
	t.await(t.parked.Load())
}

// await trims when no more connections go idle and enough time has passed since
// the last trim.
func (t *trimmer) await(seen int64) {
	wait := max(trimDelay, time.Duration(t.next.Load()-flow.Now()))
	time.AfterFunc(wait, func() {
		if n := t.parked.Load(); n > seen+seen/10 {
			t.await(n)
			return
		}
		t.trim()
	})
}

func (t *trimmer) trim() {
	t.parked.Store(0)
	began := flow.Now()
	runtime.GC() // pools keep what was put back through one collection
	debug.FreeOSMemory()
	now := flow.Now()
	t.next.Store(now + trimShare*(now-began))
	t.pending.Store(false)
}
