package listener

import (
	"sync"
	"sync/atomic"
	"syscall"
)

// Limit bounds how many connections are open. The zero Limit has no bound.
type Limit struct {
	max, active atomic.Int64
	peak        atomic.Int64
	waiting     atomic.Int64
	mu          sync.Mutex
	freed       sync.Cond
}

// Set changes the bound, 0 for none. What is open beyond it stays.
func (l *Limit) Set(n int) {
	l.max.Store(int64(n))
	l.Wake()
}

// Active tells how many are open.
func (l *Limit) Active() int64 { return l.active.Load() }

// Peak tells how many were open at a time at most, so far.
func (l *Limit) Peak() int64 { return l.peak.Load() }

// Max tells the bound, 0 for none.
func (l *Limit) Max() int { return int(l.max.Load()) }

// Await waits while the limit is reached, or until stop.
func (l *Limit) Await(stop *atomic.Bool) {
	if l.full() {
		l.wait(func() bool { return !l.full() || stop.Load() })
	}
}

// Enter counts one more, waiting for room until stop; then it is counted all the
// same, because it was accepted.
func (l *Limit) Enter(stop *atomic.Bool) {
	if !l.take() {
		l.wait(func() bool {
			if stop.Load() {
				l.note(l.active.Add(1))
				return true
			}
			return l.take()
		})
	}
}

// Leave counts one less.
func (l *Limit) Leave() {
	l.active.Add(-1)
	if l.waiting.Load() > 0 {
		l.Wake()
	}
}

// Wake has those who wait look again.
func (l *Limit) Wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.freed.L != nil {
		l.freed.Broadcast()
	}
}

func (l *Limit) full() bool {
	n := l.max.Load()
	return n > 0 && l.active.Load() >= n
}

func (l *Limit) take() bool {
	n, now := l.max.Load(), l.active.Add(1)
	if now > n && n > 0 {
		l.active.Add(-1)
		return false
	}
	l.note(now)
	return true
}

// note keeps the peak.
func (l *Limit) note(n int64) {
	for {
		old := l.peak.Load()
		if n <= old || l.peak.CompareAndSwap(old, n) {
			return
		}
	}
}

// wait raises waiting before it looks, and Leave looks at it after it has made
// room: one of the two sees the other.
func (l *Limit) wait(ready func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.freed.L = &l.mu
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	for !ready() {
		l.freed.Wait()
	}
}

// DescriptorLimit gives how many connections the process can serve with the
// descriptors it may open: two for each, and some kept for listening, logging,
// probing and administration.
func DescriptorLimit() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || r.Cur == 0 {
		return 0
	}
	n := int64(min(r.Cur, 1<<30))
	return int(max(1, (n-keptDescriptors)/2))
}

// keptDescriptors are for listening, logging, probing and administration.
const keptDescriptors = 64

// Descriptors gives how many descriptors the process needs for a number of
// connections, and of other things that take one each.
func Descriptors(connections, others int) uint64 {
	return uint64(2*connections + others + keptDescriptors)
}

// RaiseDescriptors raises the limit on open descriptors to n if it is below that, and
// tells what it is then. Go has raised the soft limit to the hard one at the start of
// the process; the hard one only root can raise.
func RaiseDescriptors(n uint64) uint64 {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil || count(r.Cur) >= n {
		return count(r.Cur)
	}
	soft, hard := count(r.Cur), count(r.Max)
	for _, want := range [][2]uint64{{n, max(n, hard)}, {hard, hard}} {
		set(&r.Cur, want[0])
		set(&r.Max, want[1])
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r) == nil {
			return want[0]
		}
	}
	return soft
}

// count and set bridge that a limit has a sign on FreeBSD, and none elsewhere.
func count[T int64 | uint64](n T) uint64 { return uint64(n) }

func set[T int64 | uint64](to *T, n uint64) { *to = T(n) }
