package transport

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Idle holds the idle connections to one address. It outlives configurations.
// The one that was used last is used next, so that the others can time out.
type Idle struct {
	mu     sync.Mutex
	conns  []*conn
	closed bool
	reaper *time.Timer
	count  atomic.Int64
	max    int
	mux    muxes // those that exchanges share, HTTP/2's
	quic   sharing[*line]
}

// NewIdle gives an empty set that keeps at most max connections (0: 1024).
func NewIdle(max int) *Idle {
	if max == 0 {
		max = 1024
	}
	return &Idle{max: max}
}

// Len tells how many connections are idle.
func (i *Idle) Len() int { return int(i.count.Load()) }

// Shared tells how many connections there are that exchanges share, idle or not.
func (i *Idle) Shared() int { return len(i.mux.all()) + len(i.quic.all()) }

// put gives a connection back; false means that it is not wanted. Where all are as
// good as each other a full set stays as it is; else the one that has waited longest
// gives way, since nobody may ever ask for it.
func (i *Idle) put(c *conn) bool {
	if c.orphaned() {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	if len(i.conns) >= i.max {
		if c.label == (label{}) {
			return false
		}
		oldest := i.conns[0]
		i.conns = append(i.conns[:0], i.conns[1:]...)
		go func() { _ = oldest.Close() }() // TLS says goodbye, which may wait
	}
	i.conns = append(i.conns, c)
	i.count.Store(int64(len(i.conns)))
	if i.reaper == nil {
		i.reaper = time.AfterFunc(reapEvery, i.reap)
	}
	return true
}

// reapEvery is how often idle connections are looked through.
const reapEvery = 5 * time.Second

// reap closes connections that have been idle for too long or that the server
// has closed. The look happens off the path; the path itself repeats what is
// safe to repeat.
func (i *Idle) reap() {
	now := flow.Now()
	var dead []*conn
	i.mu.Lock()
	keep := i.conns[:0]
	for _, c := range i.conns {
		if now-c.idleSince > c.idleFor || c.orphaned() || !c.quiet() {
			dead = append(dead, c)
		} else {
			keep = append(keep, c)
		}
	}
	clear(i.conns[len(keep):])
	i.conns = keep
	i.count.Store(int64(len(keep)))
	i.reaper = nil
	if len(keep) > 0 && !i.closed {
		i.reaper = time.AfterFunc(reapEvery, i.reap)
	}
	i.mu.Unlock()
	for _, c := range dead {
		_ = c.Close()
	}
}

// Flush closes the idle connections, as when the server was marked down.
func (i *Idle) Flush() { i.drop(false) }

// Close closes them and keeps none from now on.
func (i *Idle) Close() { i.drop(true) }

func (i *Idle) drop(forever bool) {
	i.mu.Lock()
	dead := i.conns
	i.conns = nil
	i.count.Store(0)
	i.closed = i.closed || forever
	if i.reaper != nil {
		i.reaper.Stop()
		i.reaper = nil
	}
	i.mu.Unlock()
	for _, c := range dead {
		_ = c.Close()
	}
	i.mux.drop(forever)
	i.quic.drop(forever)
}
