package pool

import (
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/health"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Deps is what a pool needs of those who outlive it. Every field may be nil.
type Deps struct {
	// Live lends the Live of a server or, asked with a Key of a Pool only,
	// of the pool itself. nil: new ones.
	Live func(upstream.Key) *upstream.Live
	// Monitor lends the monitor of a key, made by make if there is none; who
	// lends it closes it. nil: new ones, closed with the pool.
	Monitor func(k health.Key, make func() *health.Monitor) *health.Monitor
	// Tables gives the tables of the configuration, by name; Table lends one.
	// nil: there are none; new ones.
	Tables func(name string) (persistence.TableSpec, bool)
	Table  func(persistence.TableSpec) *persistence.Table
	// Pools are those of the whole configuration, whose servers may be tracked.
	// nil: this one.
	Pools []config.Pool
	// Log gets changes of servers' states. nil: slog.Default.
	Log *slog.Logger
	// Fullconn is the pool's fullconn where it has none of its own: a tenth of
	// the process's maxconn (HAProxy manual, "fullconn"). 0: minconn is not used.
	Fullconn int
}

// New makes a pool of its checked configuration. It touches nothing that lives:
// Start does. What it refuses is in the list, each with its place.
func New(cfg *config.Pool, d Deps) (*Pool, diag.List) {
	b := &builder{cfg: cfg, deps: d, p: &Pool{Name: cfg.Name, log: d.Log, own: d.Monitor == nil,
		byLive: map[*upstream.Live]*upstream.Server{}}}
	if b.deps.Live == nil {
		b.deps.Live = func(upstream.Key) *upstream.Live { return upstream.NewLive() }
	}
	if b.deps.Monitor == nil {
		b.deps.Monitor = func(_ health.Key, make func() *health.Monitor) *health.Monitor { return make() }
	}
	if b.deps.Tables == nil {
		b.deps.Tables = func(string) (t persistence.TableSpec, ok bool) { return t, false }
	}
	if b.deps.Table == nil {
		b.deps.Table = func(t persistence.TableSpec) *persistence.Table { return persistence.NewTable(t.Size, t.Expire) }
	}
	if b.p.log == nil {
		b.p.log = slog.Default()
	}
	b.limits()
	b.servers()
	b.policy()
	b.affinity()
	b.passive()
	if !b.errs.HasErrors() {
		b.health()
	}
	if b.errs.HasErrors() {
		return nil, b.errs
	}
	b.p.rebuildFirst()
	return b.p, b.errs
}

// builder makes one Pool.
type builder struct {
	cfg  *config.Pool
	deps Deps
	p    *Pool
	errs diag.List
}

func (b *builder) limits() {
	p, body := b.p, b.cfg.Body
	p.live = b.deps.Live(upstream.Key{Pool: b.cfg.Name})
	queue := directive(body, &queueWord)
	p.Timeouts = timeouts(upstream.Timeouts{}, []*config.Node{directive(nil, &timeoutWord)})
	p.Timeouts = timeouts(p.Timeouts, config.Find(body, timeoutWord.Name))
	p.Timeouts.Queue = queue.OptionDuration("timeout")
	p.queueSize = queue.OptionInt("size")
	b.retry()
	p.allBackups = config.Last(body, allBackupsWord.Name) != nil
}

// timeouts puts what the nodes say over t; what stands in them by default only
// does not count.
func timeouts(t upstream.Timeouts, nodes []*config.Node) upstream.Timeouts {
	for _, n := range nodes {
		for i := range n.Options {
			o := &n.Options[i]
			if o.Defaulted && !n.Defaulted {
				continue
			}
			d := n.OptionDuration(o.Word)
			switch o.Word {
			case "connect":
				t.Connect = d
			case "first_byte":
				t.FirstByte = d
			case "idle":
				t.Idle = d
			case "stall":
				t.Stall = d
			case "tunnel":
				t.Tunnel = d
			}
		}
	}
	return t
}

func (b *builder) servers() {
	fullconn := b.deps.Fullconn
	if n := config.Last(b.cfg.Body, fullconnWord.Name); n != nil {
		fullconn = int(n.Int(0))
	}
	word := serverWord()
	names := map[string]diag.Range{}
	for i, n := range config.Find(b.cfg.Body, word.Name) {
		full := *n
		complete(&full, &word)
		s := b.server(&full, i)
		s.Fullconn = fullconn
		if first, ok := names[s.Name]; ok {
			d := b.errs.Add(n.Range, "duplicate-server", "pool %s has two servers named %q", b.p.Name, s.Name)
			d.Labels = append(d.Labels, diag.Label{Range: first, Message: "the first one"})
			continue
		}
		names[s.Name] = n.Range
		s.Live = b.deps.Live(s.Key)
		b.p.servers = append(b.p.servers, s)
		b.p.byLive[s.Live] = s
	}
	if len(b.p.servers) == 0 && !b.errs.HasErrors() {
		d := b.errs.Add(b.cfg.Range, "no-usable-server", "pool %s has no server", b.p.Name)
		d.Help = append(d.Help, "write `server NAME ADDRESS`")
	}
}

func (b *builder) server(n *config.Node, index int) *upstream.Server {
	s := &upstream.Server{
		Key:   upstream.Key{Pool: b.p.Name, Name: n.Text(0), Address: n.Text(1)},
		Index: index, Group: b.p.live,
		Weight:  int(n.OptionInt("weight")),
		Maxconn: int(n.OptionInt("maxconn")), Minconn: int(n.OptionInt("minconn")),
		Maxqueue: int(n.OptionInt("maxqueue")),
		Backup:   n.Has("backup"), Disabled: n.Has("disabled"),
		Cookie: n.OptionText("cookie"), SlowStart: n.OptionDuration("slow_start"),
		Timeouts: timeouts(b.p.Timeouts, config.Find(n.Options, "timeout")),
		Range:    n.Range,
	}
	s.Network, s.Dial = "tcp", s.Address
	if path, ok := strings.CutPrefix(s.Address, "unix/"); ok {
		s.Network, s.Dial = "unix", path
	} else if _, _, err := net.SplitHostPort(s.Address); err != nil {
		b.errs.Add(n.Range, "bad-address", "server %s needs host:port or unix//path, not %q", s.Name, s.Address)
	}
	b.origin(s, n)
	b.secure(s, n)
	if s.Minconn > 0 && s.Maxconn == 0 {
		b.errs.Add(n.Range, "minconn-without-maxconn", "server %s has a minconn but no maxconn to grow to", s.Name)
	}
	return s
}

// rebuildFirst makes the first set, before anybody may see the pool.
func (p *Pool) rebuildFirst() {
	set := p.usable()
	p.arm(set)
	p.set.Store(set)
}

// String names the pool with its state, for reports.
func (p *Pool) String() string {
	active, backup := p.Usable()
	return fmt.Sprintf("%s (%d active, %d backup)", p.Name, active, backup)
}
