package runtime

import (
	"os"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/census"
)

// Census implements census.Source.
func (r *Runtime) Census() *census.Census {
	now := flow.Now()
	st := r.Stats()
	c := &census.Census{Process: census.Process{
		Version: r.Version, PID: os.Getpid(), Started: flow.EpochTime(), At: now,
		Generation: st.Generation, Loaded: st.Loaded, Draining: st.Draining, Listening: st.Listening,
		Connections: census.Connections{
			Open: st.Connections, Max: r.host.Limit.Peak(), Limit: r.host.Limit.Max(), Accepted: r.host.Accepted.Load(),
		},
		Loads: r.loads.get(), Panics: r.host.Panics.Load(),
	}}
	if g := r.current.Load(); g != nil {
		g.graph.Census(c, now)
	}
	r.shared.Census(c)
	return c
}

// loads remembers what became of attempts to load a configuration.
type loads struct {
	mu sync.Mutex
	census.Loads
}

func (l *loads) get() census.Loads {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Loads
}

// Tried notes what became of an attempt to load a configuration that began then,
// whether it got as far as Apply or not.
func (r *Runtime) Tried(begin time.Time, ok bool) {
	l := &r.loads
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok {
		l.Good++
	} else {
		l.Failed++
	}
	l.Last, l.LastOK, l.Took = time.Now(), ok, time.Since(begin)
}

var _ census.Source = (*Runtime)(nil)
