package upstream

import (
	"math"
	"sync/atomic"
	"time"
)

// Latency is a moving average of how long a server takes to answer, in one word
// that is read and changed without a lock. It rises at once and falls slowly: a
// longer time than the average takes its place, a shorter one draws it down by
// the share of the decay time that has passed. While nothing is observed it
// falls, too, so that a server that was slow once is tried again.
//
// The word holds microseconds as the bits of a float32 in its upper half, and
// the moment, in milliseconds, in the lower. A float keeps the small steps by
// which a busy server's average moves, which whole microseconds would lose. The
// moment wraps after 49 days; a server that was idle for so long starts with
// what was known of it then.
type Latency struct{ v atomic.Uint64 }

// Observe takes note of an answer that took d, at the flow.Now of now.
func (l *Latency) Observe(now int64, d, decay time.Duration) {
	took := float32(max(float64(d)/float64(time.Microsecond), 1))
	at := uint32(now / int64(time.Millisecond))
	for {
		old := l.v.Load()
		next := took
		if value, age := unpack(old, at); took < value {
			w := keeps(age, decay)
			next = float32(float64(value)*w + float64(took)*(1-w))
		}
		if l.v.CompareAndSwap(old, uint64(math.Float32bits(next))<<32|uint64(at)) {
			return
		}
	}
}

// At gives the average in microseconds at the flow.Now of now; ok is false
// before the first observation.
func (l *Latency) At(now int64, decay time.Duration) (micros float64, ok bool) {
	v := l.v.Load()
	if v == 0 {
		return 0, false
	}
	value, age := unpack(v, uint32(now/int64(time.Millisecond)))
	return float64(value) * keeps(age, decay), true
}

func unpack(v uint64, at uint32) (value float32, age time.Duration) {
	age = time.Duration(int32(at-uint32(v))) * time.Millisecond
	return math.Float32frombits(uint32(v >> 32)), max(0, age) // another's clock reading may be the later one
}

// keeps is what is left of an average after some time: 1/e after the decay time.
func keeps(age, decay time.Duration) float64 {
	if age == 0 {
		return 1
	}
	return math.Exp(-float64(age) / float64(decay))
}
