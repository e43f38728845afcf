package balancer

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var peakEWMA = Module{
	Spec: spec.Word{
		Name: "peak_ewma",
		Doc:  "Of two servers drawn at random by weight the one that answers sooner, as its latency and its load say",
		Long: "The latency is measured from the slot to the head of the answer (in tcp sites: to the connection). It rises at once when a server gets slower and " +
			"falls gradually, over the decay time. A try that failed, or an answer of 500 and above, counts as one that took a second at least, so that a server that fails " +
			"quickly draws no traffic. Uploads of more than 64 KiB are not measured, for they go by the client's speed.",
		Example: "balance peak_ewma",
		Options: []spec.Word{{
			Name: "decay", Default: "10s", Doc: "how long it takes to forget a slow answer",
			Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Min: int64(100 * time.Millisecond), Max: int64(time.Hour), Doc: "a time"}},
		}},
	},
	New: func(n *config.Node) (Policy, error) { return &peakPolicy{n.OptionDuration("decay")}, nil },
}

const (
	// redraws is how often a second server is sought that is not the first one
	// once more. Where one server has nearly all the weight there may be none.
	redraws = 8
	// failedTook is what a failed try counts as at least.
	failedTook = time.Second
	// unknownTook is what a server that has not answered yet counts as, in
	// microseconds, while it has something to answer: a new server gets one
	// exchange, not all of them.
	unknownTook = 1e6
)

type peakPolicy struct{ decay time.Duration }

func (p *peakPolicy) Picker(servers []*upstream.Server) Picker {
	return &peakPicker{newLots(servers), p.decay}
}

// peakPicker is "Peak EWMA" with the power of two choices, as Finagle and Linkerd
// have it: cost is latency times who would be there.
type peakPicker struct {
	lots
	decay time.Duration
}

func (p *peakPicker) Pick(a *Ask) *upstream.Server {
	s, o := p.draw(), p.draw()
	for n := 0; s == o && n < redraws; n++ {
		o = p.draw()
	}
	okS, okO := s != a.Tried && s.Free(), o != a.Tried && o.Free()
	switch {
	case okS && okO && s != o:
		now := flow.Now()
		if p.cost(o, now) < p.cost(s, now) {
			return o
		}
		return s
	case okS:
		return s
	case okO:
		return o
	}
	return p.anyFree(a)
}

// cost is the time that an exchange given to s now is expected to take, by weight.
func (p *peakPicker) cost(s *upstream.Server, now int64) float64 {
	load := float64(s.Live.Load())
	took, known := s.Live.Latency.At(now, p.decay)
	if !known {
		return unknownTook * load / float64(s.Share())
	}
	return took * (load + 1) / float64(s.Share())
}

// Observe implements Observer.
func (p *peakPicker) Observe(s *upstream.Server, d time.Duration, ok bool) {
	if !ok {
		d = max(d, failedTook)
	}
	s.Live.Latency.Observe(flow.Now(), d, p.decay)
}
