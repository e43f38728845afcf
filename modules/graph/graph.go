// Package graph turns a checked configuration into the immutable runtime graph:
// listeners, sites, routes, pools. Everything that can fail, fails here; what
// outlives the configuration is lent by Shared in the transaction at hand.
package graph

import (
	"log/slog"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/acme"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/certs"
	"github.com/loadstar-lb/loadstar/modules/handler"
	"github.com/loadstar-lb/loadstar/modules/health"
	"github.com/loadstar-lb/loadstar/modules/live"
	"github.com/loadstar-lb/loadstar/modules/matcher"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/trace"
	"github.com/loadstar-lb/loadstar/modules/transport"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Shared lends what outlives configurations.
type Shared struct {
	Servers  *live.Registry[upstream.Key, *upstream.Live]
	Monitors *live.Registry[health.Key, *health.Monitor]
	Idle     *live.Registry[transport.Key, *transport.Idle]
	Sinks    *live.Registry[logging.Key, logging.Sink]
	Sites    *live.Registry[string, *Gate]
	Tables   *live.Registry[persistence.TableKey, *persistence.Table]
	Certs    *live.Registry[certs.Key, certs.Source]
	Clients  *live.Registry[certs.ClientsKey, *certs.Clients]
	Traces   *live.Registry[trace.Key, *trace.Exporter]
	// Automatic holds the accounts, and the certificates they have had issued.
	Automatic *live.Registry[acme.Key, *acme.Manager]
	// Tickets, Authority, Challenges and Packets belong to the process.
	Tickets    *certs.Tickets
	Authority  *certs.Authorities
	Challenges *acme.Challenges
	Packets    *certs.PacketSecrets

	known map[upstream.Key]upstream.Health
}

// NewShared makes empty registries.
func NewShared() *Shared {
	return &Shared{
		Servers:   live.New[upstream.Key, *upstream.Live](nil),
		Monitors:  live.New(func(_ health.Key, m *health.Monitor) { _ = m.Close() }),
		Idle:      live.New(func(_ transport.Key, i *transport.Idle) { i.Close() }),
		Sinks:     live.New(func(_ logging.Key, s logging.Sink) { _ = s.Close() }),
		Sites:     live.New[string, *Gate](nil),
		Tables:    live.New[persistence.TableKey, *persistence.Table](nil),
		Certs:     live.New(func(_ certs.Key, s certs.Source) { s.Close() }),
		Clients:   live.New(func(_ certs.ClientsKey, c *certs.Clients) { c.Close() }),
		Traces:    live.New(func(_ trace.Key, e *trace.Exporter) { e.Close() }),
		Automatic: live.New(func(_ acme.Key, m *acme.Manager) { m.Close() }),
		Tickets:   certs.NewTickets(), Authority: &certs.Authorities{}, Challenges: acme.NewChallenges(),
		Packets: &certs.PacketSecrets{},
	}
}

// Resume has servers that are new to this process begin with what another one knew
// of them. It is for before anything is built.
func (s *Shared) Resume(known []upstream.Health) {
	s.known = make(map[upstream.Key]upstream.Health, len(known))
	for _, h := range known {
		s.known[h.Key] = h
	}
}

// resume tells a server that is new to this process what is known of it.
func (s *Shared) resume(k upstream.Key, l *upstream.Live) {
	if h, ok := s.known[k]; ok {
		l.Resume(h)
		delete(s.known, k) // what comes back years later is new
	}
}

// Graph is what one configuration has become. It is not changed any more.
type Graph struct {
	Listeners []*Listener
	Pools     map[string]*pool.Pool
	Process   Process
	gates     []limited
	tables    []limitedTable
	carriers  map[*pool.Pool]*transport.HTTP
	automatic []*acme.Source
	cancel    []func()
}

// Process holds the options of the whole process.
type Process struct {
	Maxconn  int
	Admin    string // "": the default
	AdminAt  diag.Range
	Handlers []slog.Handler // Loadstar's own messages go there too
	Retired  time.Duration  // how long a configuration may be used that was replaced; 0: as long as it takes
}

// Deps is what building needs beside the configuration.
type Deps struct {
	Set    *modules.Set
	Shared *Shared
	Tx     *live.Tx
	Log    *slog.Logger
	// Dry builds for checking only: log sinks are not opened.
	Dry bool
	// Connections counts the client connections of the process, for logs.
	Connections func() int64
	// Order gives what an operator has said of a server that is new to the
	// process; nil: nothing.
	Order func(upstream.Key) upstream.Order
	// Control takes changes at run time, for handlers; nil: nobody does.
	Control overlay.Control
	// Stopping tells whether the process has been told to stop, for handlers.
	Stopping func() bool
	// Version is the process's, for whoever is told of it.
	Version string
	// Census tells what is running, for handlers; nil: nothing is.
	Census census.Source
}

// builder is one building in progress.
type builder struct {
	Deps
	cfg      *config.Config
	graph    *Graph
	errs     diag.List
	matchers *matcher.Set
	logs     *logging.Builder
	clients  clientSide
	pages    handler.ErrorPages // of the global options
	byKey    map[string]*Listener
	proving  []proving
}

// Build makes the graph. On errors it gives nil and the diagnostics; what it
// took from Shared is then let go of by the transaction's Rollback. Warnings
// come with a graph.
func Build(cfg *config.Config, d Deps) (*Graph, diag.List) {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Census == nil {
		d.Census = census.Nothing{}
	}
	b := &builder{
		Deps: d, cfg: cfg, matchers: matcher.NewSet(d.Set.Matchers...),
		graph: &Graph{Pools: make(map[string]*pool.Pool, len(cfg.Pools)), carriers: map[*pool.Pool]*transport.HTTP{}},
		byKey: map[string]*Listener{},
	}
	b.process()
	b.pools()
	if !b.errs.HasErrors() {
		for i := range cfg.Sites {
			b.site(&cfg.Sites[i])
		}
		for i := range cfg.Sites {
			b.redirects(&cfg.Sites[i])
		}
		b.reachable()
	}
	b.errs.Sort()
	if b.errs.HasErrors() {
		b.graph.Close()
		return nil, b.errs
	}
	return b.graph, b.errs
}

// Start puts the pools to work, once the graph is the one in force.
func (g *Graph) Start() {
	for _, l := range g.gates {
		l.gate.Limit(l.limit)
	}
	for _, t := range g.tables {
		t.table.Limit(t.Size, t.Expire)
	}
	for _, p := range g.Pools {
		p.Start()
	}
	for _, s := range g.automatic {
		s.Start()
	}
	for p, t := range g.carriers {
		for _, s := range p.Servers() {
			// HAProxy does the same: what goes down loses its idle connections.
			g.cancel = append(g.cancel, s.Live.Subscribe(func(c upstream.Change) {
				if c.Kind == upstream.Verdicts && c.Verdict == upstream.Down {
					t.Idle(s).Flush()
				}
			}))
		}
	}
}

// Close lets the pools go, once nobody uses the graph any more.
func (g *Graph) Close() {
	for _, cancel := range g.cancel {
		cancel()
	}
	for _, p := range g.Pools {
		_ = p.Close()
	}
}

func (b *builder) process() {
	p := &b.graph.Process
	if n := config.Last(b.cfg.Process, "maxconn"); n != nil {
		p.Maxconn = int(n.Int(0))
	}
	if n := config.Last(b.cfg.Process, "grace"); n != nil {
		p.Retired = n.OptionDuration("retired")
	}
	if n := config.Last(b.cfg.Process, "admin"); n != nil {
		p.Admin, p.AdminAt = n.Text(0), n.Range
	}
	b.logs = logging.NewBuilder(b.Set.Logging, func(k logging.Key, open func() (logging.Sink, error)) (logging.Sink, error) {
		if b.Dry {
			return nowhere{}, nil
		}
		return b.Shared.Sinks.Get(b.Tx, k, open)
	})
	b.errs = append(b.errs, b.logs.Process(b.cfg.Process)...)
	p.Handlers = b.logs.Handlers()
	b.clients = defaultClientSide()
	b.clients.read(b.cfg.Process)
	for _, n := range config.Find(b.cfg.Process, "error") {
		if err := b.pages.Read(n); err != nil {
			b.fail(n, err)
		}
	}
	b.clients.readHTTP2(b.cfg.Process)
}

func (b *builder) pools() {
	fullconn := b.graph.Process.Maxconn / 10
	tables := b.tables()
	for i := range b.cfg.Pools {
		cfg := &b.cfg.Pools[i]
		p, errs := pool.New(cfg, pool.Deps{
			Log: b.Log, Fullconn: fullconn, Pools: b.cfg.Pools, Tables: tables, Table: b.table,
			Live: func(k upstream.Key) *upstream.Live {
				l, err := b.Shared.Servers.Get(b.Tx, k, func() (*upstream.Live, error) {
					l := newLive(k)
					b.Shared.resume(k, l)
					if b.Order != nil {
						l.Order(b.Order(k))
					}
					return l, nil
				})
				if err != nil { // the transaction has ended: a programming error, harmless here
					return upstream.NewLive()
				}
				return l
			},
			Monitor: func(k health.Key, make func() *health.Monitor) *health.Monitor {
				m, err := b.Shared.Monitors.Get(b.Tx, k, func() (*health.Monitor, error) { return make(), nil })
				if err != nil {
					return make()
				}
				return m
			},
		})
		b.errs = append(b.errs, errs...)
		if p != nil {
			b.graph.Pools[cfg.Name] = p
		}
	}
}

func (b *builder) pool(name string) *pool.Pool { return b.graph.Pools[name] }

// transport gives the carrier of a pool, the same for all who name the pool.
func (b *builder) transport(p *pool.Pool) transport.Transport {
	if t := b.graph.carriers[p]; t != nil {
		return t
	}
	t := transport.New(p.Servers(), func(k transport.Key) *transport.Idle {
		i, err := b.Shared.Idle.Get(b.Tx, k, func() (*transport.Idle, error) { return transport.NewIdle(0), nil })
		if err != nil {
			return transport.NewIdle(0)
		}
		return i
	})
	b.graph.carriers[p], p.Transport = t, t
	return t
}

// fail notes an error of a module at the place of its directive.
func (b *builder) fail(n *config.Node, err error) {
	if d, ok := err.(diag.Diagnostic); ok {
		b.errs = append(b.errs, d)
		return
	}
	if l, ok := err.(diag.List); ok {
		b.errs = append(b.errs, l...)
		return
	}
	b.errs.Add(n.Range, "bad-value", "%s: %v", n.Word, err)
}

// nowhere is the sink of a configuration that is only checked.
type nowhere struct{}

func (nowhere) Write(logging.Level, []byte)                        {}
func (nowhere) Record(logging.Level, logging.Format, *flow.Record) {}
func (nowhere) Reopen()                                            {}
func (nowhere) Stats() logging.Stats                               { return logging.Stats{} }
func (nowhere) Close() error                                       { return nil }

// isSetting reports whether a directive only sets something.
func isSetting(word string) bool {
	switch word {
	case "maxconn", "timeout", "bind", "log", "capture", "mask_query", "tls", "trace", "acme", "proxy_protocol", "starttls":
		return true
	}
	return false
}

var _ flow.Server = (*Listener)(nil)
