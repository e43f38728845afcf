package measure

import (
	"sync"
	"sync/atomic"
	"time"
)

// Peak is the highest value that a gauge had.
type Peak struct{ v atomic.Int64 }

// Note takes a value of the gauge. It writes only when there is a new highest.
func (p *Peak) Note(n int64) {
	for {
		old := p.v.Load()
		if n <= old || p.v.CompareAndSwap(old, n) {
			return
		}
	}
}

// Max gives the highest.
func (p *Peak) Max() int64 { return p.v.Load() }

// Every is how often Tick is to be called; a sample of the history is taken with
// every second call.
const (
	Every       = time.Second
	SampleEvery = 2 * time.Second
	// Samples is how many samples the history holds: two minutes.
	Samples = 60
)

// Sample is what a sparkline shows of one SampleEvery.
type Sample struct {
	Rate    uint32        `json:"rate"`    // exchanges or streams that ended, a second
	Failed  uint32        `json:"failed"`  // of those with a failure or a 5xx status, a second
	Active  uint32        `json:"active"`  // in progress at its end
	Latency time.Duration `json:"latency"` // mean time to the answer's head (of streams: in all), nanoseconds
}

// Rate counts what happens a second. It is HAProxy's freq_ctr (a count of the
// running second, and of the one before by the share of it that the last
// thousand milliseconds still cover) read from a counter that somebody else
// raises, so that it costs the path nothing. The zero Rate is ready; it is
// guarded by its owner.
type Rate struct {
	base uint64  // the counter at the last tick
	at   int64   // of the last tick, flow.Now; 0: never
	prev float64 // a second, between the two ticks before
	max  float64
}

// Tick notes the counter's value now.
func (r *Rate) Tick(now int64, count uint64) {
	if r.at != 0 && now > r.at {
		r.prev = float64(count-r.base) / (float64(now-r.at) / float64(time.Second))
		r.max = max(r.max, r.prev)
	}
	r.base, r.at = count, now
}

// PerSecond gives the sliding rate now.
func (r *Rate) PerSecond(now int64, count uint64) float64 {
	if r.at == 0 {
		return 0
	}
	past := float64(now-r.at) / float64(time.Second)
	if past >= 1 {
		return float64(count-r.base) / past
	}
	return float64(count-r.base) + r.prev*(1-past)
}

// Max gives the highest rate between two ticks.
func (r *Rate) Max() float64 { return r.max }

// Trend is what of a Traffic needs a clock.
type Trend struct {
	mu      sync.Mutex
	rate    Rate
	samples [Samples]Sample
	n       int // samples taken so far
	odd     bool
	last    struct {
		at                int64
		exchanges, failed uint64
		slow, slowCount   int64
	}
}

// Tick takes the time and how many are in progress; one ticker of the process
// calls it, once every Every.
func (t *Traffic) Tick(now, active int64) {
	c := t.Counts()
	n, failed := c.Exchanges(), c.Failed()
	failed = max(failed, c.Classes[5])
	tr := &t.Trend
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.rate.Tick(now, n)
	if tr.odd = !tr.odd; tr.odd && tr.last.at != 0 {
		return
	}
	sum, count := t.busy()
	l := &tr.last
	if took := float64(now-l.at) / float64(time.Second); l.at != 0 && took > 0 {
		s := Sample{
			Rate: perSecond(n-l.exchanges, took), Failed: perSecond(failed-l.failed, took),
			Active: uint32(max(active, 0)),
		}
		if answers := count - l.slowCount; answers > 0 && sum >= l.slow {
			s.Latency = time.Duration((sum - l.slow) / answers)
		}
		tr.samples[tr.n%Samples] = s
		tr.n++
	}
	l.at, l.exchanges, l.failed, l.slow, l.slowCount = now, n, failed, sum, count
}

// perSecond rounds up: what happened at all is to be seen.
func perSecond(n uint64, took float64) uint32 {
	return uint32(min(float64(n)/took+.999, 1<<32-1))
}

// busy gives the time to the answers' heads so far and how many there were; of
// what has no answers, the whole time.
func (t *Traffic) busy() (sum, count int64) {
	for _, p := range [...]Phase{Response, Total} {
		t.all(func(c *cell) {
			h := &c.phases[p]
			sum += h.sum.Load()
			count += int64(h.count())
		})
		if count > 0 {
			return sum, count
		}
	}
	return sum, count
}

// count gives how many values the histogram holds.
func (h *Histogram) count() (n uint64) {
	n = h.zero.Load()
	for i := range h.octaves {
		if o := h.octaves[i].Load(); o != nil {
			for j := range o {
				n += o[j].Load()
			}
		}
	}
	return n
}

// Rate gives exchanges or streams that ended a second, now, and the highest so
// far, at the flow.Now of now. Without a ticker both are 0.
func (t *Traffic) Rate(now int64) (current, highest float64) {
	c := t.Counts()
	t.Trend.mu.Lock()
	defer t.Trend.mu.Unlock()
	return t.Trend.rate.PerSecond(now, c.Exchanges()), t.Trend.rate.Max()
}

// History appends the samples to dst, the oldest first.
func (t *Traffic) History(dst []Sample) []Sample {
	tr := &t.Trend
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for i := max(0, tr.n-Samples); i < tr.n; i++ {
		dst = append(dst, tr.samples[i%Samples])
	}
	return dst
}
