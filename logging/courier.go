package logging

import (
	"errors"
	"fmt"
	"time"
)

// courier is the goroutine of a queue and what only it may touch.
type courier struct {
	*Queue
	batch    []Line
	wait     time.Duration // before the next try, after a failure
	failing  error         // why the last delivery failed, nil if it did not
	checked  time.Time
	reported time.Time
	told     uint64 // drops reported so far
	deadline time.Time
}

func (c *courier) run() {
	defer close(c.done)
	c.batch = make([]Line, 0, batchLines)
	c.rest()
	for {
		lines := c.ring.peek(c.batch[:0])
		c.keepHouse()
		switch {
		case len(lines) > 0:
			c.deliver(lines)
		case !c.ring.closed():
			c.rest()
		case c.ring.held() > 0: // a caller is still filling its slot
			c.pause(100 * time.Microsecond)
		default:
			c.finish()
			return
		}
		if c.overdue() {
			c.finish()
			return
		}
	}
}

// keepHouse does what is due before a delivery. It runs after the batch was taken,
// so that a line offered after Reopen never reaches the old file.
func (c *courier) keepHouse() {
	if c.reopen.Load() && c.reopen.CompareAndSwap(true, false) {
		if err := c.target.Reopen(); err != nil {
			c.failing, c.reported = err, time.Time{} // told at once
		}
	}
	c.tell(false)
}

func (c *courier) deliver(lines []Line) {
	if len(lines[0].Text) == 0 { // what a format left that panicked
		c.drop(1)
		return
	}
	for i := range lines {
		if len(lines[i].Text) == 0 {
			lines = lines[:i]
			break
		}
	}
	if now := time.Now(); now.Sub(c.checked) >= checkEvery {
		c.checked = now
		c.target.Check()
	}
	n, err := c.target.Deliver(lines)
	c.delivered.Add(uint64(n))
	c.ring.release(n)
	switch {
	case err == nil:
		c.failing, c.wait = nil, firstWait
		if n < batchLines { // the next lines, too, are gathered first
			c.rest()
		}
	case errors.Is(err, ErrUnwritable):
		c.failing = err
		c.drop(1)
	default:
		c.failing = err
		c.tell(false)
		c.pause(c.wait)
		c.wait = min(2*c.wait, lastWait)
	}
}

func (c *courier) drop(n int) {
	c.given.Add(uint64(n))
	c.ring.release(n)
}

// rest waits for a line, then a moment longer, so that a busy process writes many
// lines at once and an idle one none.
func (c *courier) rest() {
	c.asleep.Store(true)
	// Looked at once more after the flag is up: whoever published before
	// did not see it.
	if !c.ring.ready() && !c.reopen.Load() {
		select {
		case <-c.wake:
		case <-c.stop:
		}
	}
	c.asleep.Store(false)
	c.pause(linger)
}

// pause waits, shorter once the queue is closed.
func (c *courier) pause(d time.Duration) {
	select {
	case <-c.stop:
		time.Sleep(min(d, firstWait))
		return
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.stop:
	}
}

// overdue reports whether a closed queue has had its time.
func (c *courier) overdue() bool {
	if !c.ring.closed() {
		return false
	}
	if c.deadline.IsZero() {
		c.deadline = time.Now().Add(closeWithin)
	}
	return time.Now().After(c.deadline)
}

// finish counts what is left as dropped and closes the target.
func (c *courier) finish() {
	if left := c.ring.held(); left > 0 {
		c.given.Add(left)
		c.ring.head.Add(left)
		c.gaveUp = errors.Join(fmt.Errorf("log %s: %d lines given up", c.name, left), c.failing)
	}
	c.tell(true)
	c.gaveUp = errors.Join(c.gaveUp, c.target.Close())
}

// tell reports drops since the last report, and failures, once in a while.
func (c *courier) tell(now bool) {
	total := c.refused.Load() + c.given.Load()
	if total == c.told && c.failing == nil {
		return
	}
	if !now && time.Since(c.reported) < reportEvery {
		return
	}
	c.report(total-c.told, total, c.failing)
	c.told, c.reported = total, time.Now()
}
