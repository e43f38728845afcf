package auth

import (
	"net/netip"
	"sync"
	"time"
)

// An address may be wrong maxFailures times in a row; then one more try is given
// back every failureTime.
const (
	maxFailures = 10
	failureTime = 6 * time.Second
)

// RetryAfter is how long an address that was wrong too often has to wait for its
// next try.
const RetryAfter = failureTime

// maxAddresses bounds the memory that attackers with many addresses take: some
// 100 bytes each.
const maxAddresses = 8192

// limiter counts the failures of addresses. A try is taken before the comparison
// and given back if it was good, so that tries at the same time count, too.
type limiter struct {
	mu    sync.Mutex
	debts map[netip.Prefix]time.Time // when the debt will be paid
}

// network is what counts as one client: an address, or with IPv6 the /64 that one
// customer has at the least.
func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a = a.Unmap(); a.Is6() {
		bits = 64
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address (a unix socket): all of them are one
	}
	return p
}

func (l *limiter) take(from netip.Addr) bool {
	key, now := network(from), time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	paid := l.debts[key]
	if paid.Before(now) {
		paid = now
	}
	if paid = paid.Add(failureTime); paid.Sub(now) > maxFailures*failureTime {
		return false
	}
	if l.debts == nil {
		l.debts = make(map[netip.Prefix]time.Time)
	}
	if _, known := l.debts[key]; !known && len(l.debts) >= maxAddresses {
		l.forget(now)
	}
	l.debts[key] = paid
	return true
}

// forget makes room: those who have paid go, and if too many still owe, any of
// them until a quarter is free, so that this is rarely done.
func (l *limiter) forget(now time.Time) {
	for k, paid := range l.debts {
		if !paid.After(now) {
			delete(l.debts, k)
		}
	}
	for k := range l.debts {
		if len(l.debts) <= maxAddresses*3/4 {
			return
		}
		delete(l.debts, k)
	}
}

func (l *limiter) giveBack(from netip.Addr) {
	key := network(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	if paid, ok := l.debts[key]; ok {
		l.debts[key] = paid.Add(-failureTime)
	}
}
