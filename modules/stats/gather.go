package stats

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/measure"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// sources are where a row's distributions and histories are read, which is done
// only for rows that are shown: of 10,000 servers it would take most of the time.
type sources struct {
	traffic *measure.Traffic
	live    *upstream.Live
	at      int64 // flow.Now of the census
}

// Of makes a snapshot of a census.
func Of(c *census.Census) *Snapshot {
	p := &c.Process
	s := &Snapshot{
		At: time.Now(), Node: hostname, Version: p.Version, PID: p.PID, Started: p.Started, Loaded: p.Loaded,
		Generation: p.Generation, Draining: p.Draining, Connections: p.Connections.Open, ConnLimit: int64(p.Connections.Limit),
		Sites: make([]Row, 0, len(c.Sites)), Pools: make([]Pool, 0, len(c.Pools)),
	}
	for i := range c.Sites {
		s.Sites = append(s.Sites, siteRow(&c.Sites[i], p.At))
	}
	for i := range c.Pools {
		s.Pools = append(s.Pools, poolRows(&c.Pools[i], p.At))
	}
	return s
}

// hostname is asked for once: it does not change while a process runs.
var hostname = func() string {
	name, err := os.Hostname()
	if err != nil {
		return "this machine"
	}
	return name
}()

func siteRow(c *census.Site, at int64) Row {
	r := Row{
		Kind: Site, Group: c.Name, Address: strings.Join(c.Addresses, ", "), Mode: mode(c.TCP), State: Open, Status: "OPEN", Since: -1,
		Queued: c.Waiting, QueuedMax: c.Traffic.Queued.Max(), Current: c.Active, Max: c.Traffic.Active.Max(), Limit: c.Limit,
		more: &sources{traffic: c.Traffic, at: at},
	}
	if c.Limit > 0 && c.Active >= c.Limit {
		r.State, r.Status = Full, "FULL"
	}
	r.count(&c.Counts, c.Rates)
	r.Total = int64(c.Counts.Exchanges())
	return r
}

func mode(tcp bool) string {
	if tcp {
		return "tcp"
	}
	return "http"
}

func (r *Row) count(c *measure.Counts, rates census.Rates) {
	r.Rate, r.RateMax = rates.Rate, rates.RateMax
	r.BytesIn, r.BytesOut = c.BytesIn, c.BytesOut
	copy(r.Classes[:], c.Classes[:])
	f := &c.Failures
	r.Denied, r.BadRequests = f[measure.Denied], f[measure.BadRequest]
	r.QueueErrors, r.ConnectErrors = f[measure.QueueFailed], f[measure.ConnectFailed]
	r.AnswerErrors, r.Internal = f[measure.AnswerFailed], f[measure.Internal]
	r.ClientAborts, r.ServerAborts = f[measure.ClientAborted], f[measure.ServerAborted]
	r.Retries, r.Redispatches = c.Retries, c.Redispatches
}

func poolRows(c *census.Pool, at int64) Pool {
	p := Pool{Servers: make([]Row, 0, len(c.Servers))}
	t := &c.Live.Traffic
	r := &p.Total
	*r = Row{
		Kind: Group, Group: c.Name, Mode: mode(c.TCP), Algo: c.Balance, State: Open, Status: "UP", Since: -1,
		Active: c.Usable, Backups: c.Backups, Queued: c.Queued, QueuedMax: t.Queued.Max(), QueueLimit: c.QueueSize,
		Current: c.Active, Max: t.Active.Max(), Total: c.Total, more: &sources{traffic: t, at: at},
	}
	r.count(&c.Counts, c.Rates)
	limited := true
	for i := range c.Servers {
		s := serverRow(&c.Servers[i], at)
		s.Mode = r.Mode
		p.Servers = append(p.Servers, s)
		r.Limit += s.Limit
		limited = limited && s.Limit > 0
		if c.Servers[i].Usable && (!c.Servers[i].Backup || c.Usable == 0) {
			r.Weight += s.Weight
			r.Configured += c.Servers[i].Weight
		}
	}
	if !limited {
		r.Limit = 0
	}
	if c.Usable+c.Backups == 0 {
		r.State, r.Status = Down, "DOWN"
	}
	return p
}

func serverRow(c *census.Server, at int64) Row {
	l := c.Live
	r := Row{
		Kind: Server, Group: c.Pool, Name: c.Name, Address: c.Address, Cookie: c.Server.Cookie, Since: c.Changed, Backup: c.Backup,
		Weight: (c.Share + upstream.ShareScale - 1) / upstream.ShareScale, Configured: c.Weight,
		Queued: c.Queued, QueuedMax: l.Traffic.Queued.Max(), QueueLimit: int64(c.Maxqueue),
		Current: c.Active, Max: l.Traffic.Active.Max(), Limit: c.Limit, Total: c.Total,
		more: &sources{traffic: &l.Traffic, live: l, at: at},
	}
	if ramp := l.Ramp(); ramp < 100 {
		r.Throttle = ramp
	}
	r.count(&c.Counts, c.Rates)
	r.ConnectErrors, r.AnswerErrors = uint64(c.Connects), uint64(c.Answers)
	r.Probe = Probe{
		On: c.Probing.Rise > 0, Rise: c.Probing.Rise, Fall: c.Probing.Fall, Health: c.Probing.Counter,
		Fails: uint64(c.Checks.Failed), Downs: uint64(c.Checks.Falls), Downtime: c.Checks.Down,
	}
	r.status(c)
	if r.Active = 1; c.Backup { // HAProxy says so of those that are down, too
		r.Active, r.Backups = 0, 1
	}
	return r
}

// status finds the words that HAProxy has for a server's state (its management
// guide, §9.1, "status"). NOLB is its word for one that takes no new clients for a
// reason that is no order.
func (r *Row) status(c *census.Server) {
	p := &r.Probe
	switch c.State {
	case census.Maint:
		r.State, r.Status = Maint, "MAINT"
	case census.Drain:
		r.State, r.Status = Draining, "DRAIN"
	case census.Ejected:
		r.State, r.Status = Ejected, "NOLB"
	case census.Down:
		r.State, r.Status = Down, "DOWN"
		if p.On && p.Health > 0 {
			r.State, r.Status = Doubtful, fmt.Sprintf("DOWN %d/%d", p.Health, p.Rise)
		}
	default:
		switch {
		case c.Probing.Follows:
			r.State, r.Status = Up, "UP"
		case !p.On:
			r.State, r.Status = Unchecked, "no check"
		case p.Health < p.Rise+p.Fall-1:
			r.State, r.Status = Doubtful, fmt.Sprintf("UP %d/%d", p.Health-p.Rise+1, p.Fall)
		default:
			r.State, r.Status = Up, "UP"
		}
	}
	r.Ordered = ordered(c.Live.Ordered())
}

// ordered tells what an operator has changed.
func ordered(o upstream.Order) string {
	var words []string
	if o.Admin != 0 {
		words = append(words, [...]string{upstream.Ready: "ready", upstream.Drain: "drain", upstream.Maint: "maint"}[o.Admin])
	}
	if o.Weight.Set {
		words = append(words, "weight "+o.Weight.String())
	}
	if o.Maxconn > 0 {
		words = append(words, fmt.Sprintf("maxconn %d", o.Maxconn-1))
	}
	text := strings.Join(words, ", ")
	if text != "" && o.Why != "" {
		text += " (" + o.Why + ")"
	}
	return text
}

// fill reads what takes longer to read.
func (r *Row) fill() {
	m := r.more
	if m == nil {
		return
	}
	r.more = nil
	var s measure.Snapshot
	for i, t := range [measure.Phases]*Times{measure.Queue: &r.Queueing, measure.Connect: &r.Connect, measure.Response: &r.Response, measure.Total: &r.Whole} {
		s.Reset()
		m.traffic.Read(measure.Phase(i), &s)
		q := s.Quantiles()
		*t = Times{P50: q.P50, P90: q.P90, P99: q.P99, Avg: q.Avg}
	}
	var room [measure.Samples]measure.Sample
	for _, k := range m.traffic.History(room[:0]) {
		r.Samples = append(r.Samples, Sample{Rate: k.Rate, Failed: k.Failed, Latency: k.Latency})
	}
	if m.live == nil {
		return
	}
	now := flow.Now()
	for _, k := range m.live.Checks.History(nil) {
		r.Probe.History = append(r.Probe.History, Check{Ago: time.Duration(max(now-k.At, 0)), Took: k.Took, Good: k.Good, Text: k.Text})
	}
}
