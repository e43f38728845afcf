package runtime

import (
	"time"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Announce has `monitor` answer that the process is about to stop. Everything else
// goes on.
func (r *Runtime) Announce() { r.stopping.Store(true) }

// await waits until nobody uses a generation that was replaced. What still does when
// the configuration's limit is over is cut (HAProxy's hard-stop-after): first the
// connections that have stayed with it. Those of HTTP/2 take up the new one with their
// next stream, so the old one has long streams of theirs; they are told to end, and
// cut if they have not as long again.
func (r *Runtime) await(g *generation) {
	limit := g.graph.Process.Retired
	if limit == 0 {
		<-g.Done()
		return
	}
	replaced := time.Now()
	for _, cut := range []func() []uint64{
		func() []uint64 { return r.sockets.Cut(g.Generation) },
		func() []uint64 { return r.sockets.CutOlder(replaced) },
	} {
		t := time.NewTimer(limit)
		select {
		case <-g.Done():
			t.Stop()
			return
		case <-t.C:
		}
		if ids := cut(); len(ids) > 0 {
			r.log.Warn("connections outlived `grace retired`", "generation", g.Number, "cut", len(ids))
			upstream.AbandonFlights(ids) // who waits for a server hears of it from there only
		}
	}
	<-g.Done()
}
