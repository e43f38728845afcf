package measure

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// TestBucketsAreNative has client_golang's native histogram as the oracle: each
// value lies in the bucket that Prometheus would put it into.
func TestBucketsAreNative(t *testing.T) {
	values := []time.Duration{0, 1, 953, 954, time.Microsecond, time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, time.Hour, 200 * time.Hour}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		values = append(values, time.Duration(math.Exp(rng.Float64()*30)))
	}
	oracle := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "h", NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: Zero,
	})
	var h Histogram
	for _, v := range values {
		oracle.Observe(v.Seconds())
		h.Observe(v)
	}
	var m dto.Metric
	if err := oracle.Write(&m); err != nil {
		t.Fatal(err)
	}
	if m.Histogram.GetSchema() != Schema {
		t.Fatalf("the oracle has schema %d", m.Histogram.GetSchema())
	}
	want := map[Key]uint64{}
	key, n, d := int32(0), int64(0), m.Histogram.PositiveDelta
	for _, span := range m.Histogram.PositiveSpan {
		key += *span.Offset
		for range *span.Length {
			n += d[0]
			d = d[1:]
			if n > 0 {
				want[Key(key)] = uint64(n)
			}
			key++
		}
	}
	var s Snapshot
	h.Read(&s)
	got := map[Key]uint64{}
	s.Sparse(func(k Key, n uint64) { got[k] = n })
	for k, n := range want {
		if got[k] != n {
			t.Errorf("bucket %d (to %.9f s) has %d, not %d", k, k.Bound(), got[k], n)
		}
	}
	if len(got) != len(want) || s.Zero != m.Histogram.GetZeroCount() || s.Count != uint64(len(values)) {
		t.Errorf("%d buckets, zero %d, count %d; want %d, %d, %d", len(got), s.Zero, s.Count, len(want), m.Histogram.GetZeroCount(), len(values))
	}
	for exp := -12; exp <= 8; exp++ {
		n := uint64(0)
		for _, v := range values {
			if v.Seconds() <= math.Exp2(float64(exp)) {
				n++
			}
		}
		if s.UpTo(exp) != n {
			t.Errorf("%d values up to 2^%d s, not %d", s.UpTo(exp), exp, n)
		}
	}
}

func TestEdges(t *testing.T) {
	var h Histogram
	var s Snapshot
	if h.Read(&s); s.Quantile(.5) != 0 || s.Mean() != 0 || s.Count != 0 {
		t.Error("an empty histogram has something")
	}
	h.Observe(-time.Second)
	h.Observe(math.MaxInt64)
	h.Read(&s)
	if s.Zero != 1 || s.Count != 2 || s.Quantile(1) < 290*time.Hour {
		t.Errorf("zero %d, count %d, longest %v", s.Zero, s.Count, s.Quantile(1))
	}
	if s.UpTo(-40) != 1 || s.UpTo(40) != 2 {
		t.Errorf("up to bounds outside the range: %d and %d", s.UpTo(-40), s.UpTo(40))
	}
}

// TestQuantiles: within a bucket's width of the truth.
func TestQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var h Histogram
	var all []time.Duration
	for range 5000 {
		d := time.Duration(math.Exp(rng.NormFloat64()) * float64(20*time.Millisecond))
		all = append(all, d)
		h.Observe(d)
	}
	slices.Sort(all)
	var s Snapshot
	h.Read(&s)
	for _, q := range []float64{.01, .5, .9, .99, .999} {
		truth := all[int(q*float64(len(all)))]
		if ratio := float64(s.Quantile(q)) / float64(truth); ratio < .9 || ratio > 1.1 {
			t.Errorf("quantile %v is %v, in truth %v", q, s.Quantile(q), truth)
		}
	}
}

func ended(status int, cause, phase byte) *flow.Record {
	r := &flow.Record{Status: status, Cause: cause, Phase: phase, BytesIn: 100, BytesOut: 1000, Fresh: true, Retries: 1, Redispatched: true}
	ms := int64(time.Millisecond)
	r.Timings = flow.Timings{Accept: 1, FirstByte: 10 * ms, Head: 11 * ms, Queued: 11 * ms, Slot: 12 * ms, Connected: 14 * ms, Answer: 18 * ms, End: 26 * ms}
	return r
}

func TestCount(t *testing.T) {
	for _, n := range []int{1, 4} {
		var tr Traffic
		tr.Spread(n)
		for i := range 5 {
			r := ended(200, '-', '-')
			r.ConnID = uint64(i)
			tr.Count(r)
		}
		c := tr.Counts()
		if c.Exchanges() != 5 || c.Classes[2] != 5 || c.BytesIn != 500 || c.BytesOut != 5000 || c.Retries != 5 || c.Redispatches != 5 || c.Failed() != 0 {
			t.Errorf("%+v", c)
		}
		for p, want := range map[Phase]time.Duration{
			Queue: time.Millisecond, Connect: 2 * time.Millisecond, Response: 4 * time.Millisecond, Total: 16 * time.Millisecond,
		} {
			if s := tr.Times(p); s.Count != 5 || s.Sum != 5*want {
				t.Errorf("%s: %d values, %v", p, s.Count, s.Sum)
			}
		}
	}
}

// TestPhasesNotReached: what did not happen is in no histogram.
func TestPhasesNotReached(t *testing.T) {
	for _, c := range []struct {
		name string
		r    func(r *flow.Record)
		want [Phases]uint64
	}{
		{"refused", func(r *flow.Record) { r.Timings = flow.Timings{Accept: 1, FirstByte: 1, End: 2} }, [Phases]uint64{Total: 1}},
		{"left the queue", func(r *flow.Record) { r.Timings.Slot, r.Timings.Connected, r.Timings.Answer = 0, 0, 0 }, [Phases]uint64{Total: 1}},
		{"used a connection again", func(r *flow.Record) { r.Fresh = false }, [Phases]uint64{Queue: 1, Response: 1, Total: 1}},
		{"never connected", func(r *flow.Record) { r.Timings.Connected, r.Timings.Answer = 0, 0 }, [Phases]uint64{Queue: 1, Total: 1}},
		{"a stream", func(r *flow.Record) { r.Stream = true; r.Timings.Answer = 0 }, [Phases]uint64{Queue: 1, Connect: 1, Total: 1}},
		{"nothing at all", func(r *flow.Record) { r.Timings = flow.Timings{} }, [Phases]uint64{}},
	} {
		var tr Traffic
		r := ended(200, 0, 0)
		c.r(r)
		tr.Count(r)
		for p, want := range c.want {
			if n := tr.Times(Phase(p)).Count; n != want {
				t.Errorf("%s: %d times of %s, not %d", c.name, n, Phase(p), want)
			}
		}
	}
}

func TestFailureOf(t *testing.T) {
	for _, c := range []struct {
		flags  string
		bad    bool
		status int
		want   Failure
	}{
		{"--", false, 200, NoFailure}, {"LR", false, 302, NoFailure},
		{"PR", false, 403, Denied}, {"PT", false, 500, Denied}, {"PR", false, 500, Internal},
		{"CR", false, 400, BadRequest}, {"cR", false, 408, BadRequest}, {"PR", true, 400, BadRequest},
		{"CQ", false, 0, ClientAborted}, {"CC", false, 0, ClientAborted}, {"CD", false, 200, ClientAborted}, {"cD", false, 200, ClientAborted},
		{"sQ", false, 503, QueueFailed}, {"PQ", false, 503, QueueFailed},
		{"SC", false, 503, ConnectFailed}, {"sC", false, 503, ConnectFailed},
		{"SH", false, 502, AnswerFailed}, {"sH", false, 504, AnswerFailed}, {"PH", false, 502, AnswerFailed},
		{"SD", false, 200, ServerAborted}, {"sD", false, 200, ServerAborted}, {"PD", false, 200, Internal},
	} {
		r := &flow.Record{Cause: c.flags[0], Phase: c.flags[1], Bad: c.bad, Status: c.status}
		if got := FailureOf(r); got != c.want {
			t.Errorf("%s (%d): %s, not %s", c.flags, c.status, got, c.want)
		}
	}
	var words []string
	for f := range Failure(Failures) {
		words = append(words, f.String())
	}
	for c := range Class(Classes) {
		words = append(words, c.String())
	}
	if slices.Contains(words, "") || strings.Join(words[len(words)-Classes:], " ") != "none 1xx 2xx 3xx 4xx 5xx" {
		t.Errorf("words: %q", words)
	}
	for status, want := range map[int]Class{-1: 0, 0: 0, 99: 0, 100: 1, 204: 2, 599: 5, 600: 0} {
		if ClassOf(status) != want {
			t.Errorf("status %d is of class %s", status, ClassOf(status))
		}
	}
}

// TestExactUnderContention: nothing is lost, whoever counts and reads at a time.
func TestExactUnderContention(t *testing.T) {
	var tr Traffic
	tr.Spread(4)
	const workers, each = 4, 3000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := ended(200, '-', '-')
			for i := range each {
				r.ConnID = uint64(w + i)
				r.Timings.End = r.Timings.Answer + int64(i)*int64(time.Microsecond)
				tr.Count(r)
				tr.Active.Note(int64(i))
			}
		})
	}
	wg.Go(func() {
		for i := range 50 {
			tr.Tick(int64(i+1)*int64(time.Second), 1)
			_, _ = tr.Rate(int64(i+1) * int64(time.Second))
		}
	})
	wg.Wait()
	c := tr.Counts()
	if c.Exchanges() != workers*each || tr.Times(Total).Count != workers*each || tr.Active.Max() != each-1 {
		t.Errorf("%d exchanges, %d times, peak %d", c.Exchanges(), tr.Times(Total).Count, tr.Active.Max())
	}
}

func TestRate(t *testing.T) {
	const second = int64(time.Second)
	var r Rate
	if r.PerSecond(5*second, 7) != 0 {
		t.Error("a rate before the first tick")
	}
	r.Tick(second, 10)
	r.Tick(2*second, 110)
	for _, c := range []struct {
		at    int64
		count uint64
		want  float64
	}{
		{2 * second, 110, 100},         // nothing of this second yet: all of the one before
		{2*second + second/2, 110, 50}, // silence: half of it still counts
		{2*second + second/2, 160, 100},
		{3 * second, 110, 0},
		{4 * second, 130, 10}, // the ticker is late
	} {
		if got := r.PerSecond(c.at, c.count); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("at %v with %d: %v a second, not %v", time.Duration(c.at), c.count, got, c.want)
		}
	}
	r.Tick(4*second, 120)
	if r.Max() != 100 {
		t.Errorf("at most %v a second", r.Max())
	}
}

func TestHistory(t *testing.T) {
	var tr Traffic
	good, bad := ended(200, 0, 0), ended(503, 'S', 'C')
	bad.Timings.Answer = 0
	now := int64(1)
	for i := range 2*Samples + 20 {
		for range 4 {
			tr.Count(good)
		}
		if i%2 == 0 {
			tr.Count(bad)
		}
		tr.Tick(now, int64(i))
		now += int64(Every)
	}
	all := tr.History(nil)
	if len(all) != Samples {
		t.Fatalf("%d samples", len(all))
	}
	if s := all[0]; s.Rate != 5 || s.Failed != 1 || s.Latency != 4*time.Millisecond {
		t.Errorf("a sample: %+v", s)
	}
	if all[0].Active >= all[Samples-1].Active || all[Samples-1].Active-all[Samples-2].Active != 2 {
		t.Errorf("not in order: %d … %d, %d", all[0].Active, all[Samples-2].Active, all[Samples-1].Active)
	}
}

func TestCountAllocatesNothing(t *testing.T) {
	var tr Traffic
	r := ended(200, '-', '-')
	if n := testing.AllocsPerRun(100, func() { tr.Count(r); tr.Active.Note(3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCount(b *testing.B) {
	var site, pool, server Traffic
	site.Spread(4)
	pool.Spread(4)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := ended(200, '-', '-')
		r.ConnID = rand.Uint64()
		for pb.Next() {
			site.Count(r)
			pool.Count(r)
			server.Count(r)
		}
	})
}
