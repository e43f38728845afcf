package overlay

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Deps is what an Overlay needs of the runtime that it belongs to. All must be
// there.
type Deps struct {
	// Each visits the servers in force.
	Each func(visit func(*upstream.Server))
	// Rebuild puts the configuration in force again, merged with another Set,
	// and calls store if that was accepted, before another configuration can be.
	Rebuild func(next *Set, store func()) diag.List
	// Parse checks one `server` line.
	Parse func(line string) (*config.Node, diag.List)
	// Shut ends what is in progress on a server, and counts it.
	Shut func(upstream.Key) int
	Log  *slog.Logger
}

// maxChanges bounds how many changes are kept.
const maxChanges = 100_000

// Overlay is the changes of one process.
type Overlay struct {
	deps Deps

	doing sync.Mutex // one change at a time; taken before the runtime's lock
	mu    sync.Mutex // what is said of servers is what set says; taken last
	set   atomic.Pointer[Set]
	base  atomic.Pointer[config.Config] // in force, as in the file
	file  string                        // "": not kept; guarded by doing
	timer *time.Timer                   // guarded by doing

	stopped atomic.Bool
}

// New gives an Overlay without changes.
func New(d Deps) *Overlay {
	o := &Overlay{deps: d}
	o.set.Store(newSet(nil))
	return o
}

// Current gives the changes that are kept.
func (o *Overlay) Current() *Set { return o.set.Load() }

// Len counts the changes that are kept.
func (o *Overlay) Len() int { return len(o.set.Load().kept) }

// Version counts the changes; it is for Change.If.
func (o *Overlay) Version() uint64 { return o.set.Load().version }

// put makes a Set the one in force. It needs doing.
func (o *Overlay) put(next *Set) {
	next.version = o.set.Load().version + 1
	o.set.Store(next)
}

// Adopt is called when a configuration has come into force, with it as it stands
// in the file, and at the start. It has the servers heed what is kept; those
// that are new were told when they were made (Set.Order).
func (o *Overlay) Adopt(cfg *config.Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.base.Store(cfg)
	o.enforce()
}

// enforce tells all servers in force what is said of them. It needs mu.
func (o *Overlay) enforce() {
	set := o.set.Load()
	o.deps.Each(func(s *upstream.Server) { s.Live.Order(set.Order(s.Key)) })
}

// Do implements Control.
func (o *Overlay) Do(_ context.Context, c Change) error {
	o.doing.Lock()
	defer o.doing.Unlock()
	c.At = time.Now().Round(0)
	if c.If != nil && *c.If != o.set.Load().version {
		return &Refusal{Reason: Outdated, Message: "something else was changed meanwhile"}
	}
	c.If = nil
	next, r := o.plan(&c)
	if r != nil {
		return r
	}
	if c.Kind == Shut {
		n := o.deps.Shut(c.key())
		o.deps.Log.Info("sessions shut by an operator", "pool", c.Pool, "server", c.Server, "sessions", n, "by", c.By)
		return nil
	}
	if r := o.replace(next); r != nil {
		return r
	}
	if c.Kind == Ready {
		o.hush(c.key())
	}
	o.deps.Log.Info("changed at run time", "change", c.String(), "by", c.By, "why", c.Why)
	return nil
}

// hush makes void what the agent of a server has said of its state.
func (o *Overlay) hush(k upstream.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deps.Each(func(s *upstream.Server) {
		if s.Key == k {
			order := o.set.Load().Order(k)
			order.Admin = upstream.Ready
			s.Live.Order(order)
		}
	})
}

// replace puts another Set in force. It needs doing.
func (o *Overlay) replace(next *Set) *Refusal {
	if next.sameStructure(o.set.Load()) {
		o.mu.Lock()
		o.put(next)
		o.enforce()
		o.mu.Unlock()
	} else if found := o.deps.Rebuild(next, func() { o.put(next) }); found.HasErrors() {
		return &Refusal{Reason: Conflict, Message: "the configuration would not be valid with that", Diagnostics: found}
	}
	o.schedule()
	o.save()
	return nil
}

// schedule arms the timer for the next change that expires. It needs doing.
func (o *Overlay) schedule() {
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	at, ok := o.set.Load().nextExpiry()
	if ok && !o.stopped.Load() {
		o.timer = time.AfterFunc(max(time.Until(at), 0), o.expire)
	}
}

// retryExpiry is when an expiry is tried again that could not be done.
const retryExpiry = time.Minute

// expire takes back what has expired. What cannot be taken back, such as the last
// server of a pool, stays and is tried again.
func (o *Overlay) expire() {
	o.doing.Lock()
	defer o.doing.Unlock()
	if o.stopped.Load() {
		return
	}
	now := time.Now()
	old := o.set.Load()
	over := func(k *kept) bool { return !k.Expires.IsZero() && !k.Expires.After(now) }
	for i := range old.kept {
		k := &old.kept[i]
		if !over(k) {
			continue
		}
		if r := o.replace(o.set.Load().without(func(x *kept) bool { return over(x) && x.key() == k.key() && x.Kind == k.Kind })); r != nil {
			o.deps.Log.Error("a change has expired but cannot be taken back", "change", k.String(), "err", r, "again_in", retryExpiry)
			continue
		}
		o.deps.Log.Info("a change has expired", "change", k.String())
	}
	if at, ok := o.set.Load().nextExpiry(); ok && !at.After(now) {
		if o.timer != nil {
			o.timer.Stop()
		}
		o.timer = time.AfterFunc(retryExpiry, o.expire)
	}
}

// Stop ends expiry: the process is stopping. It may be called in the middle of a
// change.
func (o *Overlay) Stop() { o.stopped.Store(true) }

var _ Control = (*Overlay)(nil)
