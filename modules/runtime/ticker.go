package runtime

import (
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/graph"
	"github.com/loadstar-lb/loadstar/modules/measure"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// ticker has rates and histories taken of everything that is counted, so that
// requests need not look at the clock for them.
type ticker struct {
	once sync.Once
	stop chan struct{}
}

// start begins, once.
func (t *ticker) start(shared *graph.Shared) {
	t.once.Do(func() {
		t.stop = make(chan struct{})
		go t.run(shared, t.stop)
	})
}

func (t *ticker) run(shared *graph.Shared, stop <-chan struct{}) {
	every := time.NewTicker(measure.Every)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-stop:
			return
		}
		now := flow.Now()
		shared.Sites.Each(func(_ string, g *graph.Gate) { g.Traffic.Tick(now, g.Inside()) })
		shared.Servers.Each(func(_ upstream.Key, l *upstream.Live) { l.Traffic.Tick(now, l.Active()) })
	}
}

// end stops it; it is not to be started again.
func (t *ticker) end() {
	t.once.Do(func() {})
	if t.stop != nil {
		close(t.stop)
		t.stop = nil
	}
}
