package upstream

import (
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/measure"
)

// Check is one probe that was made.
type Check struct {
	At   int64         // when it was over, flow.Now
	Took time.Duration // from its begin
	Good bool
	Text string // what was found, in HAProxy's words; printable
}

// keptChecks is how many probes Checks remembers.
const keptChecks = 16

// Checks remembers the last probes of a server and counts all of them, and for
// how long it was down. The zero value is ready: nothing was probed.
type Checks struct {
	mu     sync.Mutex
	last   [keptChecks]Check
	n      int64 // all so far
	failed int64
	falls  int64
	down   time.Duration // without the time since
	since  int64         // down since, flow.Now; 0: up
}

// Note takes a probe.
func (c *Checks) Note(k Check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[c.n%keptChecks] = k
	c.n++
	if !k.Good {
		c.failed++
	}
}

// turned takes a new verdict.
func (c *Checks) turned(v Verdict, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v == Down {
		c.falls++
	}
	c.mark(v, now)
}

// presumed takes a verdict that nobody found: it is no fall.
func (c *Checks) presumed(v Verdict, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mark(v, now)
}

func (c *Checks) mark(v Verdict, now int64) {
	switch {
	case v == Down && c.since == 0:
		c.since = now
	case v == Up && c.since != 0:
		c.down += time.Duration(now - c.since)
		c.since = 0
	}
}

// CheckCounts sums up what Checks knows.
type CheckCounts struct {
	Made   int64         `json:"made"`   // probes
	Failed int64         `json:"failed"` // of those
	Falls  int64         `json:"falls"`  // how often the server went down
	Down   time.Duration `json:"down"`   // for how long it was down in all, nanoseconds
}

// Counts gives the sums at the flow.Now of now.
func (c *Checks) Counts(now int64) CheckCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := CheckCounts{Made: c.n, Failed: c.failed, Falls: c.falls, Down: c.down}
	if c.since != 0 {
		out.Down += time.Duration(max(now-c.since, 0))
	}
	return out
}

// Last gives the newest probe; false before the first.
func (c *Checks) Last() (Check, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == 0 {
		return Check{}, false
	}
	return c.last[(c.n-1)%keptChecks], true
}

// History appends the probes that are remembered to dst, the oldest first.
func (c *Checks) History(dst []Check) []Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := max(0, c.n-keptChecks); i < c.n; i++ {
		dst = append(dst, c.last[i%keptChecks])
	}
	return dst
}

// Count implements flow.Tally: the record is the server's and its pool's.
func (s *Server) Count(r *flow.Record) {
	s.Live.Traffic.Count(r)
	s.Group.Traffic.Count(r)
}

var (
	_ flow.Tally = (*Server)(nil)
	_ flow.Tally = (*measure.Traffic)(nil)
)
