//go:build linux

package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets whose width is at most 1/32 of their
// value, so that adding one costs no allocation and a percentile is off by 3 %.
type histogram struct {
	count   [64 << histBits]uint64
	samples uint64
}

const histBits = 5

func (h *histogram) add(d time.Duration) {
	h.count[bucketOf(uint64(max(d, 0)))]++
	h.samples++
}

// bucketOf keeps the leading one and the histBits bits behind it.
func bucketOf(v uint64) int {
	exp := bits.Len64(v) - histBits - 1
	if exp <= 0 {
		return int(v)
	}
	return exp<<histBits + int(v>>exp)
}

// floorOf is the least duration of a bucket.
func floorOf(i int) time.Duration {
	exp := i>>histBits - 1
	if exp <= 0 {
		return time.Duration(i)
	}
	return time.Duration((1<<histBits + i&(1<<histBits-1)) << exp)
}

// percentile gives the duration that p (0–1) of the samples do not exceed, and
// 0 without samples.
func (h *histogram) percentile(p float64) time.Duration {
	rank := uint64(p * float64(h.samples))
	var seen uint64
	for i, n := range &h.count {
		seen += n
		if seen > rank && n > 0 {
			return floorOf(i)
		}
	}
	return 0
}
