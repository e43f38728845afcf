// Package runtime puts configurations in force, one after the other, without
// losing an exchange: it builds the new graph aside, binds what is missing,
// and then stores one pointer a socket. Connections go over to the new
// generation at their next exchange; what only the old one used is let go of
// when its last connection has.
package runtime

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/http1"
	"github.com/loadstar-lb/loadstar/listener/http2"
	"github.com/loadstar-lb/loadstar/listener/http3"
	"github.com/loadstar-lb/loadstar/logging"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/acme"
	"github.com/loadstar-lb/loadstar/modules/graph"
	"github.com/loadstar-lb/loadstar/modules/live"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Runtime is the running process's configurations.
type Runtime struct {
	Version string // for reports; set before the first Apply
	// Bound is called when the sockets of a configuration are bound and its logs are
	// open, before anything is served; its error refuses the configuration. May be nil.
	Bound func() error

	set     *modules.Set
	shared  *graph.Shared
	host    *listener.Host
	sockets *listener.Set
	log     *slog.Logger

	applying sync.Mutex
	stopped  bool        // guarded by applying
	stopping atomic.Bool // see Announce
	current  atomic.Pointer[generation]
	count    uint64
	draining atomic.Int64
	ticker   ticker // guarded by applying
	loads    loads
	drained  sync.WaitGroup
	overlay  *overlay.Overlay
	base     *config.Config // in force, without what was changed at run time; guarded by applying
}

// generation is one configuration in force, or still in use.
type generation struct {
	*flow.Generation
	graph  *graph.Graph
	tx     *live.Tx
	loaded time.Time
}

// New gives a runtime without a configuration.
func New(set *modules.Set, log *slog.Logger) *Runtime {
	host := listener.NewHost(http1.Server{HTTP2: http2.Server{}}, log)
	host.HTTP2, host.Packets = http2.Server{}, http3.Server{}
	r := &Runtime{
		set: set, shared: graph.NewShared(), host: host, sockets: listener.NewSet(host), log: log,
	}
	r.overlay = newOverlay(r)
	return r
}

// Apply puts a configuration in force. All of it or nothing: when it is
// refused, the list has errors, and nothing has changed. Calls wait for each
// other. The number is that of the generation in force afterwards. What was
// changed at run time stays in force.
func (r *Runtime) Apply(cfg *config.Config) (number uint64, found diag.List) {
	r.applying.Lock()
	defer r.applying.Unlock()
	set := r.overlay.Current()
	number, found = r.apply(set.Merge(cfg), set)
	if !found.HasErrors() {
		r.base = cfg
		r.overlay.Adopt(cfg)
	}
	return number, found
}

// apply puts a configuration in force that has what was changed in it already. It
// needs applying.
func (r *Runtime) apply(cfg *config.Config, changes *overlay.Set) (number uint64, found diag.List) {
	if r.stopped {
		found.Add(diag.Range{}, "stopping", "the process is stopping")
		return r.number(), found
	}
	tx := live.Begin()
	g, found := graph.Build(cfg, graph.Deps{
		Set: r.set, Shared: r.shared, Tx: tx, Log: r.log, Connections: r.host.Connections, Census: r, Version: r.Version,
		Order: changes.Order, Control: r.overlay, Stopping: r.stopping.Load,
	})
	if found.HasErrors() {
		tx.Rollback()
		return r.number(), found
	}
	next := &generation{
		Generation: flow.NewGeneration(r.count + 1), graph: g, tx: tx, loaded: time.Now(),
	}
	wants, of := next.wants()
	change, refused := r.sockets.Prepare(wants)
	if len(refused) > 0 {
		for _, e := range refused {
			found.Add(of[e.Want].Range, "cannot-listen", "%v", e)
		}
		g.Close()
		tx.Rollback()
		return r.number(), found
	}
	if r.Bound != nil {
		if err := r.Bound(); err != nil {
			found.Add(diag.Range{}, "not-root", "%v", err)
			change.Rollback()
			g.Close()
			tx.Rollback()
			return r.number(), found
		}
	}
	// Nothing fails from here on.
	tx.Commit()
	r.count++
	limit := g.Process.Maxconn
	if limit == 0 {
		limit = listener.DescriptorLimit()
	}
	r.host.Limit.Set(limit)
	g.Start()
	change.Commit()
	r.ticker.start(r.shared)
	if prev := r.current.Swap(next); prev != nil {
		r.retire(prev)
	}
	return r.count, found
}

// wants gives the sockets of a generation, each with the
// listener that it is of.
func (g *generation) wants() (out []listener.Want, of []*graph.Listener) {
	for _, l := range g.graph.Listeners {
		out = append(out, listener.Want{
			Key: listener.Key{Network: l.Network, Address: l.Address}, Binding: l.Binding(g.Generation),
		})
		of = append(of, l)
		if b := l.PacketBinding(g.Generation); b != nil {
			out = append(out, listener.Want{Key: listener.Key{Network: "udp", Address: l.Address}, Binding: b})
			of = append(of, l)
		}
	}
	return out, of
}

// retire lets go of a generation, once nobody uses it.
func (r *Runtime) retire(g *generation) {
	r.draining.Add(1)
	r.drained.Add(1)
	go func() {
		defer r.drained.Done()
		r.await(g)
		g.graph.Close()
		g.tx.Release()
		r.draining.Add(-1)
	}()
	g.Release()
}

func (r *Runtime) number() uint64 {
	if g := r.current.Load(); g != nil {
		return g.Number
	}
	return 0
}

// Config gives the configuration in force with what was changed at run time; nil
// before the first. It is not to be changed.
func (r *Runtime) Config() *config.Config {
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.base == nil {
		return nil
	}
	return r.overlay.Current().Merge(r.base)
}

// Check builds the graph of a configuration, with what was changed at run time,
// and lets it go: nothing is opened, and nothing changes.
func (r *Runtime) Check(cfg *config.Config) diag.List {
	tx := live.Begin()
	defer tx.Rollback()
	g, found := graph.Build(r.overlay.Current().Merge(cfg), graph.Deps{
		Set: r.set, Shared: graph.NewShared(), Tx: tx, Dry: true, Log: slog.New(slog.DiscardHandler),
	})
	if g != nil {
		g.Close()
	}
	return found
}

// EachTable visits the tables of persistence, those that only a draining
// configuration uses included, in no order.
func (r *Runtime) EachTable(visit func(persistence.TableKey, *persistence.Table)) {
	r.shared.Tables.Each(visit)
}

// Process gives the process's options that are in force.
func (r *Runtime) Process() graph.Process {
	if g := r.current.Load(); g != nil {
		return g.graph.Process
	}
	return graph.Process{}
}

// Stats tells what is in force.
type Stats struct {
	Generation  uint64
	Loaded      time.Time
	Draining    int // older generations that still serve somebody
	Connections int64
	Listening   []string
}

// Stats gives a snapshot.
func (r *Runtime) Stats() Stats {
	st := Stats{Draining: int(r.draining.Load()), Connections: r.host.Connections()}
	if g := r.current.Load(); g != nil {
		st.Generation, st.Loaded = g.Number, g.loaded
	}
	for _, s := range r.sockets.Sockets() {
		at := s.Addr().String()
		if s.Key.Network == "udp" {
			at = "udp/" + at
		}
		st.Listening = append(st.Listening, at)
	}
	return st
}

// EachServer visits the servers of the configuration in force, pool by pool in
// the order of their names.
func (r *Runtime) EachServer(visit func(*upstream.Server)) {
	g := r.current.Load()
	if g == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(g.graph.Pools)) {
		for _, s := range g.graph.Pools[name].Servers() {
			visit(s)
		}
	}
}

// EachConn visits the open client connections, those that drain included.
func (r *Runtime) EachConn(visit func(listener.ConnInfo)) { r.sockets.EachConn(visit) }

// CloseConn closes a client connection at once; false: there is none of that ID.
func (r *Runtime) CloseConn(id uint64) bool { return r.sockets.CloseConn(id) }

// Give makes the certificates that the process keeps another user's, whom it is about
// to become.
func (r *Runtime) Give(uid, gid int) error {
	var all []error
	r.shared.Automatic.Each(func(_ acme.Key, m *acme.Manager) { all = append(all, m.Give(uid, gid)) })
	return errors.Join(all...)
}

// Reopen has log files opened anew, as after a rotation.
func (r *Runtime) Reopen() {
	r.shared.Sinks.Each(func(_ logging.Key, s logging.Sink) { s.Reopen() })
}

// Shutdown stops accepting, lets what is in progress end, and cuts what is left
// when ctx ends; it tells how many connections it cut. Logs are delivered.
func (r *Runtime) Shutdown(ctx context.Context) (cut int) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.stopped = true
	r.ticker.end()
	r.overlay.Stop()
	cut = r.sockets.Shutdown(ctx)
	if g := r.current.Swap(nil); g != nil {
		r.retire(g)
	}
	ended := make(chan struct{})
	go func() { r.drained.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(2 * time.Second): // a sink or a handler that hangs must not keep the process
	}
	r.host.Close()
	return cut
}
