package multi

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Budget is what a client may spend on frames that make work and carry nothing,
// on streams that it resets, and on malformed requests. It is filled by time, by
// bytes of bodies and by answers that were taken to their end; the connection of
// who overdraws it is ended (RFC 9113 §10.5, RFC 9114 §10.5).
type Budget struct {
	Sent atomic.Int64 // bytes of bodies sent since it was last filled
	Good atomic.Int64 // exchanges ended well since

	mu   sync.Mutex
	left int64
	at   int64
}

const (
	budgetBurst  = 2000
	budgetSecond = 500 // units a second
	budgetBytes  = 512 // bytes that earn one
	budgetGood   = 4   // units that a whole exchange earns
)

// What things cost.
const (
	CostFrame     = 1
	CostReset     = 5 // a stream cut by the client, or refused
	CostMalformed = 10
)

// Begin fills the budget.
func (b *Budget) Begin(now int64) { b.left, b.at = budgetBurst, now }

// Spend takes n; false: there is nothing left.
func (b *Budget) Spend(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left -= n; b.left > 0 {
		return true
	}
	now := flow.Now()
	b.left += (now-b.at)*budgetSecond/int64(time.Second) + b.Sent.Swap(0)/budgetBytes + b.Good.Swap(0)*budgetGood
	b.left = min(b.left, budgetBurst)
	b.at = now
	return b.left > 0
}
