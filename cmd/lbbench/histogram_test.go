//go:build linux

package main

import (
	"testing"
	"time"
)

func TestHistogramPercentiles(t *testing.T) {
	var h histogram
	if h.percentile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	for _, c := range []struct {
		p    float64
		want time.Duration
	}{{0.5, 500 * time.Microsecond}, {0.99, 990 * time.Microsecond}, {0, time.Microsecond}} {
		got := h.percentile(c.p)
		if got > c.want+c.want/100 || got < c.want-c.want/25 {
			t.Errorf("p%v: %v, want %v or at most 4 %% below", 100*c.p, got, c.want)
		}
	}
}

func TestHistogramBucketsAreInOrder(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<40; v += 1 + v/50 {
		i := bucketOf(v)
		if i < last {
			t.Fatalf("%d is in bucket %d, below %d", v, i, last)
		}
		last = i
		if f := floorOf(i); uint64(f) > v || uint64(f) < v-v/(1<<histBits) {
			t.Fatalf("%d: the floor of its bucket is %d", v, f)
		}
	}
	if bucketOf(1<<63) >= len(histogram{}.count) {
		t.Error("the largest duration has no bucket")
	}
}

func TestHistogramAddDoesNotAllocate(t *testing.T) {
	var h histogram
	if n := testing.AllocsPerRun(100, func() { h.add(12345) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
