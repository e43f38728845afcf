package http3

import (
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

const (
	// tick is how often a busy connection looks at what waits for too long.
	tick = 500 * time.Millisecond
	// farewellTime is how long the last answers may take to arrive before the
	// connection is closed: QUIC would not repeat what was lost of them.
	farewellTime = tick
)

// mind looks after the connection: goodbyes, and what waits for too long.
func (c *conn) mind() {
	defer c.workers.All.Done()
	t := time.NewTimer(tick)
	defer t.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.wakeup:
		case <-t.C:
		}
		next := c.look(flow.Now())
		if next <= 0 {
			_ = c.q.CloseWithError(0x100, "")
			return
		}
		t.Reset(next)
	}
}

// look gives when to look again; 0: the connection is done.
func (c *conn) look(now int64) time.Duration {
	b := c.fc.Source.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.open {
		s.expire(now)
	}
	idle := now - c.idleSince
	switch {
	case c.away == 0 && (c.draining.Load() || b.Draining), c.away == 0 && c.running == 0 && idle >= c.patience(b):
		c.farewell(now)
	case c.away == 1 && now-c.awayAt >= int64(tick)*9/10:
		c.farewell(now)
	}
	switch {
	case c.running > 0, c.away == 1:
		return tick
	case c.away > 1:
		if gone := now - max(c.idleSince, c.awayAt); gone < int64(c.parting()) {
			return c.parting() - time.Duration(gone) + time.Millisecond
		}
		return 0
	case idle < int64(tick):
		return tick
	}
	// Nothing to do until the next stream, or until it has been too long.
	c.asleep.Store(true)
	return max(time.Duration(c.patience(b)-idle), time.Millisecond)
}

// parting is how long the last bytes may take.
func (c *conn) parting() time.Duration {
	return max(farewellTime, 6*c.q.ConnectionStats().SmoothedRTT)
}

// farewell is the first of two steps (RFC 9114 §5.2): requests that are on their
// way are still taken; the second one names the last. c.mu is held.
func (c *conn) farewell(now int64) {
	last := uint64(wire.MaxVarint - 3)
	if c.away > 0 {
		last = c.next
	}
	c.away++
	c.awayAt = now
	// The control stream is written by nobody else, and a few bytes never wait.
	c.goAway(last)
}

// patience is how long the next stream, or the first one, may take to begin.
func (c *conn) patience(b *flow.Binding) int64 {
	switch l := &b.Limits; {
	case c.served:
		return int64(l.Idle)
	case l.First > 0:
		return int64(l.First)
	default:
		return int64(max(l.Header, l.Idle))
	}
}
