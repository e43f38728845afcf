package upstream

import (
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// watch counts what live traffic says of a server: errors in a row, and answers
// and errors in a window. Everything is an atomic; nothing is allocated.
type watch struct {
	row    atomic.Int32
	slices [watchSlices]atomic.Uint64
}

// watchSlices is into how many slices the window is cut; what is older than the
// window is forgotten a slice at a time.
const watchSlices = 8

// A slice is one word: 24 bits of its number, 20 of answers, 20 of errors.
const (
	sliceBits = 20
	sliceMask = 1<<sliceBits - 1
)

func (w *watch) reset() {
	w.row.Store(0)
	for i := range w.slices {
		w.slices[i].Store(0)
	}
}

// Note counts one answer, or one error, seen in live traffic, and gives how many
// errors there were in a row, this one included. The window is for Seen; 0
// counts the row only.
func (l *Live) Note(good bool, window time.Duration) (row int) {
	w := &l.watch
	if window > 0 {
		w.count(good, window, flow.Now())
	}
	if !good {
		return int(w.row.Add(1))
	}
	if w.row.Load() != 0 {
		w.row.Store(0)
	}
	return 0
}

func (w *watch) count(good bool, window time.Duration, now int64) {
	n := sliceOf(now, window)
	s := &w.slices[n%watchSlices]
	for {
		old := s.Load()
		next := old
		if old>>(2*sliceBits) != n {
			next = n << (2 * sliceBits)
		}
		if next>>sliceBits&sliceMask == sliceMask {
			return // a million in one slice say enough
		}
		next += 1 << sliceBits
		if !good {
			next++
		}
		if s.CompareAndSwap(old, next) {
			return
		}
	}
}

// sliceOf numbers the slice of a moment; 0 is never given, so that empty words
// are no slice.
func sliceOf(now int64, window time.Duration) uint64 {
	return uint64(now/max(1, int64(window)/watchSlices))%(1<<24-1) + 1
}

// Seen gives the answers and the errors in the window that Note counted.
func (l *Live) Seen(window time.Duration) (answers, errors int) {
	last := sliceOf(flow.Now(), window)
	for i := range l.watch.slices {
		s := l.watch.slices[i].Load()
		if n := s >> (2 * sliceBits); n != 0 && n <= last && last-n < watchSlices {
			answers += int(s >> sliceBits & sliceMask)
			errors += int(s & sliceMask)
		}
	}
	return answers, errors
}

// Ejection says how a server is put out of rotation.
type Ejection struct {
	Base, Max time.Duration // the first time, and at most; each time in between it doubles
	Row       int           // the row of errors to begin its trial with, so that one more ejects again
	Why       string
}

// EjectFor is Eject by other rules. Of several callers one wins.
func (l *Live) EjectFor(e Ejection) bool {
	b := &l.breaker
	for {
		s := b.state.Load()
		if s == open {
			return false
		}
		if b.state.CompareAndSwap(s, open) {
			break
		}
	}
	d := e.Max
	if times := b.times.Add(1); times < 20 {
		d = min(e.Base<<(times-1), e.Max)
	}
	time.AfterFunc(d, func() {
		// One strike short of the limit: the next failure ejects again.
		b.strikes.Store(Strikes - 1)
		l.watch.reset()
		l.watch.row.Store(int32(e.Row))
		if b.state.CompareAndSwap(open, trial) {
			l.notify(Change{Kind: Trials})
		}
	})
	l.notify(Change{Kind: Ejections, For: d, Why: e.Why})
	return true
}
