package pool

import (
	"fmt"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Start puts the pool to work: it listens to its servers' changes and starts
// their probes. It cannot fail, and is called once, when the generation goes
// live; a pool that was never started balances over what it found when made.
func (p *Pool) Start() {
	p.live.Own(p)
	for _, s := range p.servers {
		p.resumeRamp(s)
		p.cancel = append(p.cancel, s.Live.Subscribe(func(c upstream.Change) { p.onChange(s, c) }))
	}
	for i, m := range p.monitors {
		s := p.servers[i]
		// First probes are spread over the interval by position.
		if a := p.agents[i]; a != nil {
			a.Start(a.Settings.Interval * time.Duration(i) / time.Duration(len(p.servers)))
		} else {
			s.Live.Unadvise(p)
		}
		if t := p.tracks[i]; t != nil {
			p.cancel = append(p.cancel, t.start(p, s))
			continue
		}
		if m == nil { // no probes (any more): what earlier ones said is void
			s.Live.Own(p)
			s.Live.SetVerdict(upstream.Up, "")
			continue
		}
		m.Start(m.Settings.Interval * time.Duration(i) / time.Duration(len(p.servers)))
	}
	p.changed()
}

// Close stops listening; it is called when the generation has drained, and in
// place of Start when it never goes live. Monitors belong to who made them.
func (p *Pool) Close() error {
	p.closed.Store(true)
	for _, c := range p.cancel {
		c()
	}
	p.cancel = nil
	if p.own {
		for _, m := range append(p.monitors[:len(p.monitors):len(p.monitors)], p.agents...) {
			if m != nil {
				_ = m.Close()
			}
		}
	}
	return nil
}

func (p *Pool) onChange(s *upstream.Server, c upstream.Change) {
	if c.Kind == upstream.Verdicts && c.Verdict == upstream.Up && s.SlowStart > 0 {
		s.Live.SetRamp(1)
		p.ramp(s, s.Live.Changed())
	}
	p.changed()
	requeued := 0
	if c.Kind == upstream.Ejections || !s.Up() {
		requeued = p.live.Queue.Expel(s.Live, p.live)
	}
	if p.live.Owner() == any(p) { // of several generations the newest one speaks
		p.report(s, c, requeued)
	}
}

// rampSteps is in how many steps a slow start reaches the whole weight.
const rampSteps = 20

// ramp lets weight and limit of a server grow linearly over its slow start.
func (p *Pool) ramp(s *upstream.Server, since int64) {
	time.AfterFunc(max(s.SlowStart/rampSteps, 10*time.Millisecond), func() {
		if p.closed.Load() || s.Live.Changed() != since || s.Live.Ramp() == 100 {
			return // down again, or the next generation has taken over
		}
		percent := int(100 * time.Duration(flow.Now()-since) / s.SlowStart)
		s.Live.SetRamp(percent)
		p.changed()
		if percent < 100 {
			p.ramp(s, since)
		}
	})
}

// resumeRamp goes on with a slow start that another generation began.
func (p *Pool) resumeRamp(s *upstream.Server) {
	switch {
	case s.Live.Ramp() == 100:
	case s.SlowStart == 0:
		s.Live.SetRamp(100)
	default:
		p.ramp(s, s.Live.Changed())
	}
}

// changed makes a new picker and serves who can be served now. Changes that
// come while one is being made are taken together.
func (p *Pool) changed() {
	p.dirty.Add(1)
	for p.dirty.Load() > 0 && p.build.TryLock() {
		for p.dirty.Swap(0) > 0 {
			p.rebuild()
		}
		p.build.Unlock() // a change since the last Swap is seen by the outer loop
	}
}

func (p *Pool) rebuild() {
	set := p.usable()
	if set.active+set.backup == 0 && p.pardon(nil) > 0 {
		set = p.usable()
	}
	if set.active+set.backup == 1 { // nobody to turn to: no trial either
		p.pardon(set.servers[0])
	}
	p.arm(set)
	p.set.Store(set)
	if set.picker == nil {
		p.live.Queue.Expel(nil, p.live)
		return
	}
	p.live.Queue.Lock() // those who enter look at the set under this lock
	p.fillAnyLocked(set)
	for _, s := range p.servers {
		p.fillLocked(s)
	}
	p.live.Queue.Unlock()
}

// arm gives a set its picker, none if nothing is usable.
func (p *Pool) arm(set *set) {
	if len(set.servers) == 0 {
		return
	}
	set.picker = p.policy.Picker(set.servers)
	set.tracker, _ = set.picker.(balancer.Tracker)
	set.watch, _ = set.picker.(balancer.Observer)
	_, set.binds = set.picker.(balancer.Binder)
	for _, s := range set.servers {
		set.grows = set.grows || s.Minconn > 0
	}
}

// pardon ends the ejection of one server, or of all, and counts them.
func (p *Pool) pardon(only *upstream.Server) (n int) {
	for _, s := range p.servers {
		if (only == nil || s == only) && s.WeightNow() > 0 && s.Up() {
			s.Live.Pardon()
			n++
		}
	}
	return n
}

// usable gives the servers to choose from: the usable ones, or when there are
// none the first usable backup (all of them with all_backups).
func (p *Pool) usable() *set {
	set := &set{}
	var backups []*upstream.Server
	for _, s := range p.servers {
		switch {
		case !s.Usable():
		case s.Backup:
			backups = append(backups, s)
		default:
			set.servers = append(set.servers, s)
		}
	}
	set.active, set.backup = len(set.servers), len(backups)
	if set.active == 0 && set.backup > 0 {
		set.servers = backups
		if !p.allBackups {
			set.servers = backups[:1]
		}
	}
	return set
}

// report logs a change in HAProxy's words (its srv_append_status).
func (p *Pool) report(s *upstream.Server, c upstream.Change, requeued int) {
	name := p.Name + "/" + s.Name
	now := p.usable() // the set may be somebody else's to bring up to date, who is at it
	active, backup := now.active, now.backup
	left := fmt.Sprintf("%d active and %d backup servers", active, backup)
	switch {
	case c.Kind == upstream.Ejections && c.Why != "":
		p.log.Warn(fmt.Sprintf("Server %s is out of rotation for %s: %s. %s left.", name, c.For, c.Why, left))
	case c.Kind == upstream.Ejections:
		p.log.Warn(fmt.Sprintf("Server %s is out of rotation for %s after %d failures to connect in a row. %s left.",
			name, c.For, upstream.Strikes, left))
	case c.Kind == upstream.Reprieves:
		p.log.Info(fmt.Sprintf("Server %s can be connected to again and is back in rotation.", name))
	case c.Kind == upstream.Trials:
	case c.Kind == upstream.Advised:
		p.log.Warn(fmt.Sprintf("Server %s: its agent says %s. %s left.%s %d requeued.", name, c.Why, left, onlyBackups(active, backup), requeued))
		p.lonely(active + backup)
	case c.Kind == upstream.Ordered:
		p.log.Warn(fmt.Sprintf("Server %s %s. %s left.%s %d requeued.", name, c.Why, left, onlyBackups(active, backup), requeued))
		p.lonely(active + backup)
	case c.Verdict == upstream.Down:
		p.log.Warn(fmt.Sprintf("Server %s is DOWN%s. %s left.%s %d sessions active, %d requeued, %d remaining in queue.",
			name, because(c.Why), left, onlyBackups(active, backup), s.Live.Active(), requeued, s.Live.Queued()))
		p.lonely(active + backup)
	case c.Why == "":
		p.log.Info(fmt.Sprintf("Server %s is UP: it is not probed any more. %s online.", name, left))
	default:
		p.log.Info(fmt.Sprintf("Server %s is UP%s. %s online. %d sessions requeued, %d total in queue.",
			name, because(c.Why), left, requeued, s.Live.Queued()))
	}
}

// lonely says so when nobody is left.
func (p *Pool) lonely(usable int) {
	if usable == 0 {
		p.log.Error(fmt.Sprintf("pool %s has no server available!", p.Name))
	}
}

// because joins a reason to a sentence: "DOWN, reason: …", "DOWN via pool/server".
func because(why string) string {
	if strings.HasPrefix(why, "via ") {
		return " " + why
	}
	return ", " + why
}

func onlyBackups(active, backup int) string {
	if active == 0 && backup > 0 {
		return " Running on backup."
	}
	return ""
}
