package balancer

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// serve gives the server chosen one exchange that takes its time.
func serve(p Observer, took map[string]time.Duration) *upstream.Server {
	s := p.Pick(&Ask{})
	s.Take()
	d, ok := took[s.Name]
	d = max(d, time.Millisecond)
	d += time.Duration(rand.Int64N(int64(d / 5))) // were all alike, a hair's breadth would decide for long
	time.Sleep(d)
	p.Observe(s, d, ok)
	s.Give()
	return s
}

// One of four servers gets slow: its share falls, and it comes back when it is
// quick again. Among four a server is drawn in every second choice, so nearly
// nothing is left of its quarter.
func TestPeakEWMALeavesTheSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy(t, "peak_ewma").Picker(servers(1, 1, 1, 1)).(Observer)
		count := func(took map[string]time.Duration) (of2 int) {
			for range 2000 {
				if serve(p, took).Name == "2" {
					of2++
				}
			}
			return of2
		}
		ms := time.Millisecond
		if n := count(map[string]time.Duration{"1": ms, "2": ms, "3": ms, "4": ms}); n < 250 || n > 800 {
			t.Errorf("equals: %d of 2000, want about 500", n)
		}
		if n := count(map[string]time.Duration{"1": ms, "2": 500 * ms, "3": ms, "4": ms}); n > 20 {
			t.Errorf("the slow one: %d of 2000", n)
		}
		time.Sleep(2 * time.Minute) // forgotten
		if n := count(map[string]time.Duration{"1": ms, "2": ms, "3": ms, "4": ms}); n < 200 {
			t.Errorf("quick again: %d of 2000", n)
		}
		// Failing at once is no way to be the quickest.
		if n := count(map[string]time.Duration{"1": ms, "3": ms, "4": ms}); n > 20 {
			t.Errorf("the failing one: %d of 2000", n)
		}
	})
}

// A server that never answered gets one exchange, not all that come meanwhile.
func TestPeakEWMANewServer(t *testing.T) {
	s := servers(1, 1)
	p := policy(t, "peak_ewma").Picker(s).(Observer)
	p.Observe(s[0], time.Millisecond, true)
	for range 40 {
		p.Pick(&Ask{}).Take()
	}
	if n := s[1].Live.Active(); n != 1 {
		t.Errorf("%d exchanges before its first answer", n)
	}
	p.Observe(s[1], time.Millisecond, true)
	for range 40 {
		p.Pick(&Ask{}).Take()
	}
	if a, b := s[0].Live.Active(), s[1].Live.Active(); a < 36 || b < 36 {
		t.Errorf("%d and %d of equals", a, b)
	}
}

// Weights count: of two as quick ones that with twice the weight has about twice
// the load.
func TestPeakEWMAWeights(t *testing.T) {
	s := servers(1, 2)
	p := policy(t, "peak_ewma").Picker(s).(Observer)
	for range 300 {
		x := p.Pick(&Ask{})
		x.Take()
		p.Observe(s[0], time.Millisecond, true)
		p.Observe(s[1], time.Millisecond, true)
	}
	if n := s[1].Live.Active(); n < 180 || n > 220 {
		t.Errorf("%d of 300, want 200 ± 20", n)
	}
}
