package stats

import (
	"iter"
	"time"
)

// Snapshot is what is shown: everything at one moment.
type Snapshot struct {
	At          time.Time
	Node        string // the machine's name
	Version     string
	PID         int
	Started     time.Time // the process
	Loaded      time.Time // the configuration in force
	Generation  uint64
	Draining    int   // older generations that still serve somebody
	Connections int64 // of clients, now
	ConnLimit   int64 // 0: none known
	Sites       []Row
	Pools       []Pool
}

// Pool is a pool with its servers.
type Pool struct {
	Total   Row
	Servers []Row
}

// Kind is what a row speaks of; the numbers are those of HAProxy's column "type".
type Kind uint8

// The kinds.
const (
	Site   Kind = 0
	Group  Kind = 1 // a pool as a whole
	Server Kind = 2
)

// State is how something is, in a few words for colours, symbols and filters;
// Row.Status has HAProxy's word.
type State uint8

// The states.
const (
	Open      State = iota // a site that takes exchanges, a pool with enough servers
	Up                     // its probes pass
	Doubtful               // up, but its last probes failed, or down and coming up
	Down                   // its probes fail
	Draining               // takes nobody new
	Maint                  // taken away by an operator or an agent
	Ejected                // put out of rotation by failures of live traffic
	Unchecked              // has no probes
	Full                   // a site at its limit
)

// Good reports a state that nobody has to look at.
func (s State) Good() bool { return s == Open || s == Up || s == Unchecked }

// Row is a site, a pool or a server.
type Row struct {
	Kind    Kind
	Group   string // the site's or the pool's name; HAProxy's pxname
	Name    string // the server's; HAProxy's svname of the others is FRONTEND and BACKEND
	Address string // the server's; a site's addresses
	Mode    string // "http" or "tcp"
	Algo    string // how the pool picks
	Cookie  string
	State   State
	Status  string        // in HAProxy's words: OPEN, UP, "UP 1/3", DOWN, DRAIN, MAINT, NOLB, "no check"
	Since   time.Duration // in the state; negative: unknown
	Ordered string        // what an operator has changed of it, "" for nothing
	Backup  bool

	Weight, Configured int // the weight now, and as configured
	Active, Backups    int // usable servers; of a server 1 for what it is, 0 for the other
	Throttle           int // percent of its weight while it starts slowly, 0: not so

	Queued, QueuedMax, QueueLimit int64
	Current, Max, Limit, Total    int64 // sessions: exchanges and streams
	Rate, RateMax                 float64
	BytesIn, BytesOut             uint64
	Classes                       [6]uint64 // answers: none, 1xx to 5xx

	Denied, BadRequests         uint64
	QueueErrors, ConnectErrors  uint64
	AnswerErrors, Internal      uint64
	ClientAborts, ServerAborts  uint64
	Retries, Redispatches       uint64
	Response, Queueing, Connect Times
	Whole                       Times

	Probe   Probe
	Samples []Sample // the oldest first

	more *sources // what Fill reads; nil: everything is there
}

// Times are what of a distribution is shown.
type Times struct{ P50, P90, P99, Avg time.Duration }

// Sample is one step of a sparkline.
type Sample struct {
	Rate, Failed uint32 // a second
	Latency      time.Duration
}

// Probe is what active checks say; the zero Probe is of a server without any.
type Probe struct {
	On         bool
	Rise, Fall int
	Health     int // the counter, 0 to Rise+Fall-1
	Fails      uint64
	Downs      uint64
	Downtime   time.Duration
	History    []Check // the oldest first
}

// Check is one probe's result.
type Check struct {
	Ago, Took time.Duration
	Good      bool
	Text      string // as logged: "Layer7 check passed, code: 200"
}

// Last gives the newest check, nil without any.
func (p *Probe) Last() *Check {
	if len(p.History) == 0 {
		return nil
	}
	return &p.History[len(p.History)-1]
}

// Errors gives all failures of a row together.
func (r *Row) Errors() uint64 {
	return r.Denied + r.BadRequests + r.QueueErrors + r.ConnectErrors + r.AnswerErrors + r.Internal + r.ClientAborts + r.ServerAborts
}

// position is where a row stands among all: the number of its site or pool, and of
// the server in it, both from 1; id is 0 of what is no server.
type position struct{ proxy, id int }

// rows gives every row, filled in, in the order of HAProxy's output: the sites,
// then each pool's servers and the pool itself.
func (s *Snapshot) rows() iter.Seq2[*Row, position] {
	return func(yield func(*Row, position) bool) {
		at := position{}
		give := func(r *Row, id int) bool {
			r.fill()
			at.id = id
			return yield(r, at)
		}
		for i := range s.Sites {
			at.proxy++
			if !give(&s.Sites[i], 0) {
				return
			}
		}
		for i := range s.Pools {
			at.proxy++
			p := &s.Pools[i]
			for j := range p.Servers {
				if !give(&p.Servers[j], j+1) {
					return
				}
			}
			if !give(&p.Total, 0) {
				return
			}
		}
	}
}
