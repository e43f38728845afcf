package balancer

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Picking, with the order kept up for those that keep one, allocates nothing.
func TestPickAllocatesNothing(t *testing.T) {
	for _, text := range every() {
		for _, n := range []int{3, 100} {
			p := policy(t, text).Picker(many(n))
			track, _ := p.(Tracker)
			a := Ask{Client: addr("10.1.2.3"), Exchange: request("some-key")}
			if got := testing.AllocsPerRun(200, func() { turn1(p, track, &a) }); got != 0 {
				t.Errorf("%s over %d servers: %v allocations", text, n, got)
			}
		}
	}
}

// turn1 is what a pool does for one exchange.
func turn1(p Picker, track Tracker, a *Ask) {
	s := p.Pick(a)
	s.Take()
	if track != nil {
		track.Update(s)
	}
	if o, ok := p.(Observer); ok {
		o.Observe(s, time.Millisecond, true)
	}
	s.Give()
	if track != nil {
		track.Update(s)
	}
}

// BenchmarkPick is pick, take, give: flat from 3 to 10,000 servers, logarithmic for
// leastconn and for rings.
func BenchmarkPick(b *testing.B) {
	for _, text := range every() {
		for _, n := range []int{3, 100, 10000} {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(text, " ", "_"), n), func(b *testing.B) {
				p := policy(b, text).Picker(many(n))
				track, _ := p.(Tracker)
				asks := make([]Ask, 64)
				for i := range asks {
					asks[i] = Ask{Client: netip.AddrFrom4([4]byte{10, 0, byte(i), byte(i * 37)}), Exchange: request(fmt.Sprint("key", i))}
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					turn1(p, track, &asks[i%len(asks)])
					i++
				}
			})
		}
	}
}

// BenchmarkPicker is the cost of a new picker when a server goes down.
func BenchmarkPicker(b *testing.B) {
	for _, text := range every() {
		for _, n := range []int{3, 10000} {
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(text, " ", "_"), n), func(b *testing.B) {
				pol, s := policy(b, text), many(n)
				for b.Loop() {
					pol.Picker(s)
				}
			})
		}
	}
}

// BenchmarkFirstMostFull is `first` when all but the last of its servers are full.
func BenchmarkFirstMostFull(b *testing.B) {
	for _, n := range []int{3, 100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := many(n)
			p := policy(b, "first").Picker(s).(Tracker)
			for _, x := range s[:n-1] {
				x.Maxconn = 1
				x.Take()
				p.Update(x)
			}
			var a Ask
			for b.Loop() {
				turn1(p, p, &a)
			}
		})
	}
}

// BenchmarkBoundedHotKey is one key when every server has as much as all others, so
// that three of four are at their bounds.
func BenchmarkBoundedHotKey(b *testing.B) {
	for _, layout := range []string{"map", "consistent", "maglev"} {
		for _, n := range []int{3, 100, 10000} {
			b.Run(fmt.Sprintf("%s/%d", layout, n), func(b *testing.B) {
				s := many(n)
				for _, x := range s {
					for range 4 * x.Weight {
						x.Take()
					}
				}
				p := policy(b, "uri balance_factor 106% "+layout).Picker(s)
				a := Ask{Exchange: request("hot")}
				b.ReportAllocs()
				for b.Loop() {
					turn1(p, nil, &a)
				}
			})
		}
	}
}
