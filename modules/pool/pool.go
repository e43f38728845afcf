// Package pool holds pools: servers, policy, affinity, health and limits as one
// value of one generation. What outlives the generation is in upstream.Live.
package pool

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/health"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/transport"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Pool is one pool of one generation.
type Pool struct {
	Name     string
	Timeouts upstream.Timeouts // of the pool; a server's own may differ
	Retry    Retry
	Affinity persistence.Affinity // nil without `persist`
	Persist  diag.Range           // of the `persist` directive
	Balance  diag.Range           // of the `balance` directive
	// Transport carries exchanges to the servers; nil: no site sends any.
	Transport transport.Transport
	// Algorithm is the word after `balance`.
	Algorithm string

	servers    []*upstream.Server
	live       *upstream.Live // the pool's own
	byLive     map[*upstream.Live]*upstream.Server
	policy     balancer.Policy
	bodies     balancer.BodyPolicy // policy, if it is one
	monitors   []*health.Monitor   // by server index, nil without probes
	agents     []*health.Monitor   // the same for agents
	tracks     []*track            // by server index, nil unless it follows another
	passive    *passive            // nil: live traffic is not watched
	allBackups bool
	queueSize  int64
	log        *slog.Logger

	set    atomic.Pointer[set]
	dirty  atomic.Int64
	build  sync.Mutex
	cancel []func()
	closed atomic.Bool
	own    bool // the monitors are nobody else's to close
	budget budget
}

// set is what is usable now.
type set struct {
	picker  balancer.Picker   // nil: nothing is usable
	tracker balancer.Tracker  // picker, if it is one
	watch   balancer.Observer // picker, if it is one
	binds   bool              // picker may bind a choice to a server
	grows   bool              // limits grow with the load (minconn)
	servers []*upstream.Server
	active  int // usable servers that are no backups
	backup  int // usable backups
}

// Servers gives all servers in the order of the configuration. The slice is
// not to be changed.
func (p *Pool) Servers() []*upstream.Server { return p.servers }

// Live gives the pool's own counters: exchanges in progress, waiting, totals.
func (p *Pool) Live() *upstream.Live { return p.live }

// Successor gives the pool of a newer generation with this one's name, nil if there is
// none or fault is not that of Acquire without a usable server. What was begun before a
// server was added and the last one here was drained goes on there.
func (p *Pool) Successor(fault *flow.Error) *Pool {
	if fault != errNoServer {
		return nil
	}
	if newest, ok := p.live.Owner().(*Pool); ok && newest != p {
		return newest
	}
	return nil
}

// QueueSize gives how many may wait in line, 0 for no limit.
func (p *Pool) QueueSize() int64 { return p.queueSize }

// Usable counts the servers that may be chosen now, and the backups that stand
// behind them.
func (p *Pool) Usable() (active, backup int) {
	s := p.set.Load()
	return s.active, s.backup
}

// Candidates gives the servers that balancing chooses from now, for reports.
// The slice is not to be changed.
func (p *Pool) Candidates() []*upstream.Server { return p.set.Load().servers }

// Find gives this generation's server for a Live; see upstream.Finder.
func (p *Pool) Find(l *upstream.Live) *upstream.Server { return p.byLive[l] }

// Count implements flow.Tally, for exchanges and streams that got no server.
func (p *Pool) Count(r *flow.Record) { p.live.Traffic.Count(r) }

// Probing tells by which thresholds a server of the pool is judged, and where the
// counter stands: 0 to rise+fall-1, up from rise on. All are 0 without a probe.
func (p *Pool) Probing(s *upstream.Server) (rise, fall, counter int) {
	if s.Index >= len(p.monitors) || p.monitors[s.Index] == nil {
		return 0, 0, 0
	}
	m := &p.monitors[s.Index].Settings
	counter, ok := s.Live.Counter()
	if !ok { // nobody has probed it yet
		machine := health.NewMachine(m.Rise, m.Fall)
		machine.Begin(m.Initial)
		counter = machine.Counter
	}
	return m.Rise, m.Fall, counter
}

// Follows tells whether the probes of another server judge this one.
func (p *Pool) Follows(s *upstream.Server) bool {
	return s.Index < len(p.tracks) && p.tracks[s.Index] != nil
}
