package graph

import (
	"sync"
	"sync/atomic"
	"time"
)

// Gate holds a site's exchanges to its maxconn. Who comes beyond waits in line.
// It outlives configurations, so that the count does; the limit may change.
type Gate struct {
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
