package census

import (
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/measure"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// State is how a server is, in one word.
type State string

// The states. A server that is up may get traffic, one that is drained only from
// those who are bound to it.
const (
	Up      State = "up"
	Down    State = "down"    // its probes fail, or its agent says so
	Ejected State = "ejected" // it failed on live traffic and is left out for a while
	Drain   State = "drain"   // nobody new is sent there
	Maint   State = "maint"   // taken away by somebody
)

// States lists them all.
var States = []State{Up, Down, Ejected, Drain, Maint}

// Server is one server of a pool. Its first fields, to Why, are what GET /servers
// always told.
type Server struct {
	Pool    string `json:"pool"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Up      bool   `json:"up"`     // not disabled, and no probe or agent says down
	Usable  bool   `json:"usable"` // takes part in balancing, or would as a backup
	Weight  int    `json:"weight"` // configured, or given by an operator
	Share   int    `json:"share"`  // of the traffic now, in 1/upstream.ShareScale of a weight of 1
	Active  int64  `json:"active"` // exchanges or streams in progress
	Queued  int64  `json:"queued"` // who wait for this very server
	Why     string `json:"why,omitempty"`

	Configured int                  `json:"configured_weight"` // in the file
	State      State                `json:"state"`
	Backup     bool                 `json:"backup"`
	Limit      int64                `json:"limit"` // of slots now, 0: none
	Maxqueue   int                  `json:"maxqueue"`
	Changed    time.Duration        `json:"changed"` // since the last change of its verdict, or since the process began; nanoseconds
	Probed     bool                 `json:"probed"`  // it was probed at least once
	Check      LastCheck            `json:"check"`
	Probing    Probing              `json:"probing"`
	Checks     upstream.CheckCounts `json:"checks"`

	Tries
	measure.Counts
	Rates
	Live   *upstream.Live   `json:"-"` // Traffic and Checks: histograms, peaks, histories
	Server *upstream.Server `json:"-"` // as it is configured
}

// Probing tells how close a server's verdict is to a change; the zero Probing is
// of one that nobody probes.
type Probing struct {
	Rise    int  `json:"rise"`
	Fall    int  `json:"fall"`
	Counter int  `json:"counter"` // 0 to Rise+Fall-1, up from Rise on
	Follows bool `json:"follows"` // the verdict of another server's probes
}

// LastCheck is the newest probe.
type LastCheck struct {
	Good bool          `json:"good"`
	Text string        `json:"text"` // in HAProxy's words
	Took time.Duration `json:"took"` // nanoseconds
	Ago  time.Duration `json:"ago"`  // nanoseconds
}

// ServerOf describes a server at the flow.Now of now.
func ServerOf(s *upstream.Server, now int64) Server {
	l := s.Live
	v := Server{
		Pool: s.Pool, Name: s.Name, Address: s.Address, Up: s.Up(), Usable: s.Usable(), Weight: s.WeightNow(), Configured: s.Weight, Share: s.Share(),
		Active: l.Active(), Queued: l.Queued(), Backup: s.Backup, Limit: s.Limit(), Maxqueue: s.Maxqueue,
		Changed: time.Duration(max(now-l.Changed(), 0)), Checks: l.Checks.Counts(now),
		Tries: TriesOf(l), Counts: l.Traffic.Counts(), Rates: RatesOf(&l.Traffic, now), Live: l, Server: s,
	}
	// A try, of which there may be several an exchange, is repeated where it failed.
	v.Retries, v.Redispatches = uint64(l.Retries.Load()), uint64(l.Redispatches.Load())
	v.State, v.Why = StateOf(s)
	if k, ok := l.Checks.Last(); ok {
		v.Probed = true
		v.Check = LastCheck{Good: k.Good, Text: k.Text, Took: k.Took, Ago: time.Duration(max(flow.Now()-k.At, 0))}
	}
	return v
}

// StateOf gives a server's state, and why it is so.
func StateOf(s *upstream.Server) (State, string) {
	down, drained := s.Live.Barred()
	ordered := s.Live.Ordered().Admin
	switch {
	case s.Disabled:
		return Maint, "disabled"
	case ordered == upstream.Maint:
		return Maint, "in maintenance by an operator"
	case down:
		return Down, "its agent says so"
	case s.Live.Verdict() == upstream.Down:
		return Down, "its probes fail"
	case s.Live.Ejected():
		return Ejected, "it failed on live traffic"
	case ordered == upstream.Drain:
		return Drain, "drained by an operator"
	case drained:
		return Drain, "its agent drains it"
	case s.WeightNow() == 0:
		return Drain, "its weight is 0"
	}
	return Up, ""
}
