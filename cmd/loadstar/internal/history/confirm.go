package history

import (
	"errors"
	"sync"
	"time"
)

// Bounds of how long a configuration may wait to be confirmed.
const (
	MinConfirm = time.Second
	MaxConfirm = 24 * time.Hour
)

// ErrNothingPending is what Confirm and Cancel give when nothing waits.
var ErrNothingPending = errors.New("no configuration waits to be confirmed")

// Pending is a configuration that waits to be confirmed.
type Pending struct {
	Number   uint64    `json:"number"`   // of the entry that waits
	BackTo   uint64    `json:"back_to"`  // of the entry that comes back otherwise
	Deadline time.Time `json:"deadline"` // when it does
	By       string    `json:"by"`       // who loaded it
	back     func() error
	timer    *time.Timer
	going    bool // it is too late to confirm
}

// Confirm takes a configuration back that nobody confirms. The zero value is
// ready. The timer is the process's own: it runs whatever becomes of the client.
type Confirm struct {
	mu      sync.Mutex
	pending *Pending
}

// retryBack is when going back is tried again that failed.
const retryBack = 10 * time.Second

// Await has back called when the deadline has passed, unless Done or Cancel are
// called before. back is called without locks held, again and again until it
// gives nil: what was in force must come back. One that waited before is
// confirmed by it.
func (c *Confirm) Await(p Pending, back func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
	p.back = back
	mine := &p
	mine.timer = time.AfterFunc(time.Until(p.Deadline), func() { c.expire(mine) })
	c.pending = mine
}

func (c *Confirm) expire(p *Pending) {
	c.mu.Lock()
	mine := c.pending == p
	p.going = mine
	c.mu.Unlock()
	if !mine {
		return
	}
	err := p.back()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != p {
		return
	}
	if err != nil {
		p.timer = time.AfterFunc(retryBack, func() { c.expire(p) })
		return
	}
	c.pending = nil
}

// Pending tells what waits; ok is false if nothing does.
func (c *Confirm) Pending() (p Pending, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil {
		return Pending{}, false
	}
	return *c.pending, true
}

// Done confirms: what is in force stays.
func (c *Confirm) Done() (Pending, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil || c.pending.going {
		return Pending{}, ErrNothingPending
	}
	p := *c.pending
	c.drop()
	return p, nil
}

// Drop forgets what waits, if anything does: another configuration has come into
// force.
func (c *Confirm) Drop() (was bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was = c.pending != nil
	c.drop()
	return was
}

func (c *Confirm) drop() {
	if c.pending != nil {
		c.pending.timer.Stop()
		c.pending = nil
	}
}
