package http2

import (
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// budget is what a client may spend on frames that make work and carry nothing:
// PING, SETTINGS, RST_STREAM, WINDOW_UPDATE, empty DATA, refused and malformed
// requests. It is filled by time, by bytes of bodies and by answers that were
// taken to their end; who overdraws it is told to calm down (RFC 9113 §10.5).
type budget struct {
	left int64
	at   int64        // when it was last filled
	sent atomic.Int64 // bytes of bodies sent since
	good atomic.Int64 // exchanges ended well since
}

const (
	budgetBurst   = 2000
	budgetSecond  = 500 // units a second
	budgetBytes   = 512 // bytes that earn one
	budgetGood    = 4   // units that a whole exchange earns
	costFrame     = 1
	costReset     = 5 // a stream cut by the client, or refused
	costMalformed = 10
)

func (b *budget) begin(now int64) { b.left, b.at = budgetBurst, now }

// spend takes n; false: there is nothing left.
func (b *budget) spend(n int64) bool {
	if b.left -= n; b.left > 0 {
		return true
	}
	now := flow.Now()
	b.left += (now-b.at)*budgetSecond/int64(time.Second) + b.sent.Swap(0)/budgetBytes + b.good.Swap(0)*budgetGood
	b.left = min(b.left, budgetBurst)
	b.at = now
	return b.left > 0
}

// charge spends, or ends the connection.
func (c *conn) charge(n int64) bool {
	if c.budget.spend(n) {
		return true
	}
	c.abandon(h2.CodeCalm)
	return false
}
