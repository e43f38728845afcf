package measure

import (
	"math"
	"sync/atomic"
	"time"
)

// Schema is how fine a Histogram's buckets are: Prometheus' native histograms of
// schema n have 2^n buckets an octave, each of which reaches from a bound,
// exclusive, to 2^(2^-n) times it, inclusive. With 3 a value is known to 9 %.
const Schema = 3

// The range of a Histogram in powers of two of a second: from just below a
// microsecond to twelve days. What is at or below Zero counts as zero, what is
// longer than the longest as the longest.
const (
	MinExp  = -20
	MaxExp  = 20
	perOct  = 1 << Schema
	octaves = MaxExp - MinExp
	buckets = octaves * perOct
)

// Zero is the threshold of the zero bucket in seconds (2^MinExp).
const Zero = 1.0 / (1 << -MinExp)

// Histogram is a distribution of durations. The zero Histogram is empty and
// ready; it is not to be copied. Its buckets are those of a native histogram, so
// that one is exported as it is; classic buckets at powers of two are exact sums
// of them. Buckets are made an octave at a time: what a server's answers spread
// over is rarely more than five.
type Histogram struct {
	sum     atomic.Int64 // nanoseconds
	zero    atomic.Uint64
	octaves [octaves]atomic.Pointer[octave]
}

type octave [perOct]atomic.Uint64

// steps are the upper bounds of an octave's buckets in [0.5, 1), the lowest one,
// 0.5, belonging to the octave below.
var steps = func() (out [perOct]float64) {
	for i := range out {
		out[i] = math.Exp2(float64(i)/perOct - 1)
	}
	return out
}()

// place gives the bucket of a duration, from 0; -1 is the zero bucket.
func place(d time.Duration) int {
	v := d.Seconds()
	if v <= Zero {
		return -1
	}
	frac, exp := math.Frexp(v) // v = frac·2^exp, frac in [0.5, 1)
	i := 0
	for i < perOct && steps[i] < frac {
		i++
	}
	// The key of the bucket as Prometheus numbers it, whose upper bound is
	// 2^(key/perOct), is (exp-1)*perOct+i.
	return min((exp-1-MinExp)*perOct+i-1, buckets-1)
}

// Observe takes a duration; negative ones count as zero.
func (h *Histogram) Observe(d time.Duration) {
	i := place(d)
	if i < 0 {
		h.zero.Add(1)
	} else {
		h.at(i / perOct)[i%perOct].Add(1)
	}
	if d > 0 {
		h.sum.Add(int64(d))
	}
}

func (h *Histogram) at(oct int) *octave {
	p := &h.octaves[oct]
	if o := p.Load(); o != nil {
		return o
	}
	p.CompareAndSwap(nil, new(octave))
	return p.Load()
}

// Read adds what the histogram holds to s.
func (h *Histogram) Read(s *Snapshot) {
	if n := h.zero.Load(); n > 0 {
		s.Zero += n
		s.Count += n
	}
	for i := range h.octaves {
		o := h.octaves[i].Load()
		if o == nil {
			continue
		}
		for j := range o {
			if n := o[j].Load(); n > 0 {
				s.buckets[i*perOct+j] += n
				s.Count += n
			}
		}
	}
	s.Sum += time.Duration(h.sum.Load())
}

// Snapshot is what a Histogram held, or several that were read into the same one.
type Snapshot struct {
	Count   uint64        // of all values: the sum of all buckets
	Sum     time.Duration // of all values
	Zero    uint64        // values at or below the zero threshold
	buckets [buckets]uint64
}

// Reset empties it.
func (s *Snapshot) Reset() { *s = Snapshot{} }

// Key is the number of a bucket as Prometheus has it: its upper bound is
// 2^(Key/2^Schema) seconds.
type Key int

// Bound is the bucket's upper bound in seconds.
func (k Key) Bound() float64 { return math.Exp2(float64(k) / perOct) }

// Sparse visits the buckets that hold something, from the shortest; the zero
// bucket is not among them.
func (s *Snapshot) Sparse(visit func(k Key, n uint64)) {
	for i, n := range &s.buckets {
		if n > 0 {
			visit(Key(MinExp*perOct+i+1), n)
		}
	}
}

// UpTo counts the values of at most 2^exp seconds, exactly: what a classic bucket
// with that bound holds.
func (s *Snapshot) UpTo(exp int) uint64 {
	n := s.Zero
	for _, k := range s.buckets[:min(max(exp-MinExp, 0), octaves)*perOct] {
		n += k
	}
	return n
}

// Quantile gives the duration that a share of q, from 0 to 1, of the values does
// not exceed, to within a bucket's width; 0 without values.
func (s *Snapshot) Quantile(q float64) time.Duration {
	if s.Count == 0 {
		return 0
	}
	rank := min(max(q, 0), 1) * float64(s.Count)
	seen := float64(s.Zero)
	if rank <= seen {
		return 0
	}
	last := 0
	for i, n := range &s.buckets {
		if n == 0 {
			continue
		}
		last = i
		if next := seen + float64(n); rank <= next {
			return within(i, (rank-seen)/float64(n))
		}
		seen += float64(n)
	}
	return within(last, 1)
}

// within gives a place in a bucket; in one that grows by powers the values are
// taken to do so, too (Prometheus' interpolation for native histograms).
func within(i int, part float64) time.Duration {
	sec := math.Exp2(float64(MinExp) + (float64(i)+part)/perOct)
	return time.Duration(sec * float64(time.Second))
}

// Mean gives the mean of the values, 0 without any.
func (s *Snapshot) Mean() time.Duration {
	if s.Count == 0 {
		return 0
	}
	return s.Sum / time.Duration(s.Count)
}

// Quantiles are what pages and tables show of a histogram.
type Quantiles struct {
	P50 time.Duration `json:"p50"` // nanoseconds, as all of them
	P90 time.Duration `json:"p90"`
	P99 time.Duration `json:"p99"`
	Avg time.Duration `json:"avg"`
}

// Quantiles gives the usual ones.
func (s *Snapshot) Quantiles() Quantiles {
	return Quantiles{P50: s.Quantile(.5), P90: s.Quantile(.9), P99: s.Quantile(.99), Avg: s.Mean()}
}
