package pool

import (
	"fmt"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var passiveWord = spec.Word{
	Name: "passive", In: spec.InPool, Variant: "layer7",
	Doc: "Judges servers by live traffic, and leaves those out for a while that fail",
	Long: "A server is left out of rotation after `errors` in a row, or when errors make up `ratio` of at least `requests` in the `window`. It is left out for " +
		"`time`, then on trial: one exchange at a time, and one more error leaves it out for twice as long, ten minutes at most. " +
		"A good answer ends the trial. `keep` is the share of the pool's servers that stay whatever happens; the last one always does. " +
		"What probes say is not touched by it, and a probe that brings a server up wipes the slate.\n\n" +
		"`layer4` looks at connections only. `layer7` also counts answers as errors that are late, broken, or have a status outside 100–499, or 501 or 505 (HAProxy's `observe layer7`).",
	Example: "passive layer7 errors 10 ratio 50% window 10s",
	Variants: []spec.Word{
		{Name: "layer4", Doc: "Failures to connect count", Example: "passive layer4 errors 5"},
		{Name: "layer7", Doc: "Failures to connect, failed answers and bad statuses count", Example: "passive layer7 errors 10 keep 50%"},
	},
	Options: []spec.Word{
		{Name: "errors", Doc: "how many errors in a row are too many", Default: "10",
			Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 100_000, Doc: "a number"}}},
		{Name: "ratio", Doc: "what share of errors in the window is too much (without it: only rows count)",
			Args: []spec.Arg{{Name: "PERCENT", Kind: spec.Percent, Min: 1, Max: 100, Doc: "errors among all"}}},
		{Name: "window", Doc: "the time over which the ratio is taken", Default: "10s",
			Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Min: int64(100 * time.Millisecond), Max: int64(time.Hour), Doc: "a time"}}},
		{Name: "requests", Doc: "how many there must be in the window for the ratio to count", Default: "20",
			Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 1_000_000, Doc: "exchanges or streams"}}},
		{Name: "time", Doc: "how long a server is left out the first time", Default: "10s",
			Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Min: int64(100 * time.Millisecond), Max: int64(maxPassive), Doc: "a time"}}},
		{Name: "keep", Doc: "the share of the pool's servers that are never left out", Default: "50%",
			Args: []spec.Arg{{Name: "PERCENT", Kind: spec.Percent, Max: 100, Doc: "servers among all"}}},
	},
}

// maxPassive bounds how long a server is left out.
const maxPassive = 10 * time.Minute

// passive is how live traffic is watched.
type passive struct {
	layer7   bool
	errors   int
	ratio    int           // percent; 0: not taken
	window   time.Duration // 0: no ratio
	requests int
	time     time.Duration
	keep     int // servers
	deciding sync.Mutex
}

func (b *builder) passive() {
	given := config.Last(b.cfg.Body, passiveWord.Name)
	if given == nil {
		return
	}
	n := *given
	complete(&n, &passiveWord)
	w := &passive{
		layer7: n.Variant == "layer7", errors: int(n.OptionInt("errors")), ratio: int(n.OptionInt("ratio")),
		requests: int(n.OptionInt("requests")), time: n.OptionDuration("time"),
	}
	if w.ratio > 0 {
		w.window = n.OptionDuration("window")
	}
	w.keep = max(1, (len(b.p.servers)*int(n.OptionInt("keep"))+99)/100)
	b.p.passive = w
}

// Answered notes an answer that s began, with its status: it stands for Report
// of Connected.
func (p *Pool) Answered(s *upstream.Server, status int) {
	if p.passive != nil && p.passive.layer7 && badStatus(status) {
		p.erred(s, status)
		return
	}
	p.Report(s, Connected)
}

// witness counts what Report is told.
func (p *Pool) witness(s *upstream.Server, o Outcome) {
	switch {
	case o == Connected:
		s.Live.Note(true, p.passive.window)
	case o == ConnectFailed || p.passive.layer7:
		p.erred(s, 0)
	}
}

// badStatus are the statuses that HAProxy's "observe layer7" counts.
func badStatus(status int) bool {
	return status < 100 || status > 499 || status == 501 || status == 505
}

// erred counts one error, and takes the server out of rotation if that is one
// too many. status is 0 where there was no answer.
func (p *Pool) erred(s *upstream.Server, status int) {
	w := p.passive
	row := s.Live.Note(false, w.window)
	if row >= w.errors {
		p.eject(s, row, status)
		return
	}
	if w.ratio == 0 {
		return
	}
	if answers, errors := s.Live.Seen(w.window); answers >= w.requests && errors*100 >= w.ratio*answers {
		p.eject(s, 0, status)
	}
}

// eject leaves a server out unless too few would stay. Only one at a time is
// decided on; who comes meanwhile is a witness of the same failure.
func (p *Pool) eject(s *upstream.Server, row, status int) {
	w := p.passive
	if s.Live.Ejected() || !w.deciding.TryLock() {
		return
	}
	defer w.deciding.Unlock()
	stay := 0
	for _, o := range p.servers {
		if o != s && o.Usable() {
			stay++
		}
	}
	if stay < w.keep {
		return
	}
	s.Live.EjectFor(upstream.Ejection{Base: w.time, Max: max(w.time, maxPassive), Row: w.errors - 1, Why: w.why(row, status)})
}

// why tells of what a server was seen to do.
func (w *passive) why(row, status int) string {
	last := "no good answer"
	if status != 0 {
		last = fmt.Sprintf("status %d", status)
	}
	if row > 0 {
		return fmt.Sprintf("%d errors in a row in live traffic, the last one: %s", row, last)
	}
	return fmt.Sprintf("at least %d%% of errors in live traffic, the last one: %s", w.ratio, last)
}
