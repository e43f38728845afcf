package http2

import (
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// look is done before each wait: goodbyes, and what waits for too long.
func (c *conn) look(now int64) {
	if c.away == 0 && (c.draining.Load() || c.fc.Source.Load().Draining) {
		c.farewell(now)
	}
	c.mu.Lock()
	running, failed := c.running, c.failed
	c.mu.Unlock()
	switch {
	case failed != nil:
		c.ended = true
		return
	case c.away > 1 && running == 0:
		c.leave(nil)
		return
	}
	if now-c.scanned < tick {
		return
	}
	c.scanned = now
	c.rest(now)
}

// farewell is the first of two steps (RFC 9113 §6.8): requests that are on their
// way are still taken; the second one names the last.
func (c *conn) farewell(now int64) {
	last := uint32(h2.MaxWindow)
	if c.away > 0 {
		last = c.lastID
	}
	c.away++
	c.awayAt = now
	c.mu.Lock()
	c.out = h2.AppendGoAway(c.out, last, h2.CodeNone)
	c.kick()
	c.mu.Unlock()
}

// rest looks at what has waited for too long, or may be given back.
func (c *conn) rest(now int64) {
	c.scanned = now
	if c.away == 1 && now-c.awayAt >= tick-tick/10 {
		c.farewell(now)
	}
	if c.partialAt > 0 && now-c.partialAt > c.partialLimit() {
		c.abandon(h2.CodeNone)
		return
	}
	c.mu.Lock()
	for _, s := range c.open {
		if s.late(now) {
			s.cond.Broadcast()
		}
	}
	running := c.running
	c.mu.Unlock()
	if c.draining.Load() && c.away == 0 {
		c.farewell(now)
	}
	if running > 0 {
		c.idleSince = now
		return
	}
	if c.away > 1 {
		c.leave(nil)
		return
	}
	if now-c.idleSince >= restful && c.r == c.w && c.buf != nil {
		readBuffers.Put(c.buf)
		c.buf, c.r, c.w = nil, 0, 0
		c.workers.Dismiss()
		c.mu.Lock()
		if !c.writing && len(c.out) == 0 {
			c.out, c.spare = nil, nil
		}
		c.mu.Unlock()
	}
	if now-c.idleSince >= c.patience() {
		c.abandon(h2.CodeNone)
	}
}

// partialLimit is how long a frame, a head or the preface may be incomplete.
func (c *conn) partialLimit() int64 {
	if c.inData() {
		return int64(c.limits.Stall)
	}
	return int64(c.limits.Header)
}

// abandon ends the connection with an error, or without one.
func (c *conn) abandon(e h2.Code) {
	if c.ended {
		return
	}
	c.leave(h2.AppendGoAway(nil, c.lastID, e))
	if e != h2.CodeNone {
		c.mu.Lock()
		c.break_(&flow.Error{Side: flow.SideClient, Cause: "protocol error"})
		c.mu.Unlock()
	}
}

// leave ends the connection once what is kept back has left, and last behind it.
// The reader waits for that, but not for a client that takes nothing.
func (c *conn) leave(last []byte) {
	c.ended, c.linger = true, true
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, last...)
	c.writeBy = 1 << 62
	_ = c.fc.SetWriteDeadline(time.Now().Add(time.Second))
	c.flush()
	for c.writing {
		c.written.Wait()
	}
}
