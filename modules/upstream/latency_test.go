package upstream

import (
	"math"
	"testing"
	"time"
)

func TestLatency(t *testing.T) {
	const decay = 10 * time.Second
	var l Latency
	if _, ok := l.At(1, decay); ok {
		t.Fatal("known before the first observation")
	}
	now := int64(time.Hour)
	step := func(after, took time.Duration, want float64) {
		t.Helper()
		now += int64(after)
		if took > 0 {
			l.Observe(now, took, decay)
		}
		if got, _ := l.At(now, decay); math.Abs(got-want) > want/1000 {
			t.Errorf("%.1f µs, want %.1f", got, want)
		}
	}
	step(0, 5*time.Millisecond, 5000)
	step(time.Second, 80*time.Millisecond, 80000) // a peak counts at once
	step(decay, 0, 80000/math.E)                  // and is forgotten slowly
	step(0, 80*time.Millisecond, 80000)
	step(decay, time.Millisecond, 80000/math.E+1000*(1-1/math.E))
	step(0, time.Microsecond, 80000/math.E+1000*(1-1/math.E)) // no time passed: the quick one weighs nothing
}

// A busy server's many small steps add up to what the same time in one step does.
func TestLatencySmallSteps(t *testing.T) {
	const decay = 10 * time.Second
	var l Latency
	l.Observe(0, 100*time.Millisecond, decay)
	for ms := range int64(10000) {
		l.Observe((ms+1)*int64(time.Millisecond), time.Millisecond, decay)
	}
	got, _ := l.At(int64(decay), decay)
	want := 100000/math.E + 1000*(1-1/math.E)
	if math.Abs(got-want) > want/100 {
		t.Errorf("%.0f µs after 10,000 observations, want %.0f ± 1 %%", got, want)
	}
}

func TestLatencyAllocatesNothing(t *testing.T) {
	var l Latency
	if n := testing.AllocsPerRun(100, func() { l.Observe(5, time.Second, time.Second); l.At(9, time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
