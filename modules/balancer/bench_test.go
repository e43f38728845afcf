package balancer

import (
	"fmt"
	"testing"
)

// Picking, with the order kept up for those that keep one, allocates nothing.
func TestPickAllocatesNothing(t *testing.T) {
	for _, m := range Modules() {
		for _, n := range []int{3, 1000} {
			p := policy(t, m.Spec.Name).Picker(many(n))
			track, _ := p.(Tracker)
			a := Ask{Client: addr("10.1.2.3")}
			if got := testing.AllocsPerRun(200, func() { turn1(p, track, &a) }); got != 0 {
				t.Errorf("%s over %d servers: %v allocations", m.Spec.Name, n, got)
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
	s.Give()
	if track != nil {
		track.Update(s)
	}
}

// BenchmarkPick is pick, take, give: flat from 3 to 10,000 servers, logarithmic for
// leastconn.
func BenchmarkPick(b *testing.B) {
	for _, m := range Modules() {
		for _, n := range []int{3, 100, 10000} {
			b.Run(fmt.Sprintf("%s/%d", m.Spec.Name, n), func(b *testing.B) {
				p := policy(b, m.Spec.Name).Picker(many(n))
				track, _ := p.(Tracker)
				a := Ask{Client: addr("10.1.2.3")}
				b.ReportAllocs()
				for b.Loop() {
					turn1(p, track, &a)
				}
			})
		}
	}
}

// BenchmarkPicker is the cost of a new picker when a server goes down.
func BenchmarkPicker(b *testing.B) {
	for _, m := range Modules() {
		for _, n := range []int{3, 10000} {
			b.Run(fmt.Sprintf("%s/%d", m.Spec.Name, n), func(b *testing.B) {
				pol, s := policy(b, m.Spec.Name), many(n)
				for b.Loop() {
					pol.Picker(s)
				}
			})
		}
	}
}
