package graph

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/measure"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Gate holds a site's exchanges to its maxconn, and counts them. Who comes beyond
// waits in line. It outlives configurations, so that the count does; the limit may change.
type Gate struct {
	// Traffic is what is counted of the site.
	Traffic measure.Traffic

	limit   atomic.Int64 // 0: none
	inside  atomic.Int64
	waiting atomic.Int64
	mu      sync.Mutex
	line    []chan struct{}
}

// Limit sets the limit; those who wait are let in if it rose.
func (g *Gate) Limit(n int) {
	g.limit.Store(int64(n))
	g.admit()
}

// Waiting tells how many stand in line.
func (g *Gate) Waiting() int64 { return g.waiting.Load() }

// Most gives the limit, 0 for none.
func (g *Gate) Most() int64 { return g.limit.Load() }

// Inside tells how many are inside.
func (g *Gate) Inside() int64 { return g.inside.Load() }

// Enter goes in, waiting for at most d; ahead tells how many stood in line
// before. false means that the time was up.
func (g *Gate) Enter(d time.Duration) (ahead int64, ok bool) {
	if g.waiting.Load() == 0 && g.take() {
		return 0, true
	}
	g.mu.Lock()
	if len(g.line) == 0 && g.take() {
		g.mu.Unlock()
		return 0, true
	}
	turn := make(chan struct{})
	ahead = int64(len(g.line))
	g.line = append(g.line, turn)
	g.Traffic.Queued.Note(ahead + 1)
	g.waiting.Store(int64(len(g.line)))
	g.mu.Unlock()
	g.admit() // somebody may have left between the first look and the line
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-turn:
		return ahead, true
	case <-timer.C:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, t := range g.line {
		if t == turn {
			g.line = append(g.line[:i], g.line[i+1:]...)
			g.waiting.Store(int64(len(g.line)))
			return ahead, false
		}
	}
	return ahead, true // let in at the last moment
}

// Leave goes out and lets the next one in.
func (g *Gate) Leave() {
	g.inside.Add(-1)
	if g.waiting.Load() > 0 {
		g.admit()
	}
}

// take takes a place if one is free.
func (g *Gate) take() bool {
	limit := g.limit.Load()
	for {
		n := g.inside.Load()
		if limit > 0 && n >= limit {
			return false
		}
		if g.inside.CompareAndSwap(n, n+1) {
			g.Traffic.Active.Note(n + 1)
			return true
		}
	}
}

// admit lets in as many of the line as there are places.
func (g *Gate) admit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.line) > 0 && g.take() {
		close(g.line[0])
		g.line = g.line[1:]
	}
	g.waiting.Store(int64(len(g.line)))
}

// count takes the record of an exchange or a stream that has ended: the one place
// where traffic is counted, beside the one where it is logged.
func (g *Gate) count(r *flow.Record) {
	g.Traffic.Count(r)
	if r.Tally != nil {
		r.Tally.Count(r)
	}
}

// cells is into how many cells the counts of sites and pools are spread: what all
// processors write to is worth it from four on.
func cells() int {
	switch n := runtime.GOMAXPROCS(0); {
	case n >= 8:
		return 8
	case n >= 4:
		return 4
	default:
		return 1
	}
}

func newGate() *Gate {
	g := &Gate{}
	g.Traffic.Spread(cells())
	return g
}

// newLive gives the Live of a server, or of a pool, that nobody knew before.
func newLive(k upstream.Key) *upstream.Live {
	l := upstream.NewLive()
	if k.Name == "" {
		l.Traffic.Spread(cells())
	}
	return l
}
