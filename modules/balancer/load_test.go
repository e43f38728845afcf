package balancer

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// TestLeastConnInvariant takes and gives slots at random and holds each choice
// against a walk over all servers: nobody has a lower key.
func TestLeastConnInvariant(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 2, 3, 5, 8, 17, 100} {
		s := many(n)
		for i := range s {
			if i%4 == 3 {
				s[i].Maxconn = 2
			}
		}
		p := policy(t, "leastconn").Picker(s).(Tracker)
		var held []*upstream.Server
		for step := range 3000 {
			if len(held) > 0 && rnd.IntN(100) < 45 {
				i := rnd.IntN(len(held))
				held[i].Give()
				p.Update(held[i])
				held[i] = held[len(held)-1]
				held = held[:len(held)-1]
				continue
			}
			var a Ask
			if rnd.IntN(4) == 0 {
				a.Tried = s[rnd.IntN(n)]
			}
			got := p.Pick(&a)
			checkLeast(t, s, &a, got)
			if t.Failed() {
				t.Fatalf("%d servers, step %d", n, step)
			}
			if got != nil && got.Take() {
				p.Update(got)
				held = append(held, got)
			}
		}
	}
}

func checkLeast(t *testing.T, all []*upstream.Server, a *Ask, got *upstream.Server) {
	t.Helper()
	least, free := math.Inf(1), 0
	for _, s := range all {
		if s.Free() && s != a.Tried {
			least, free = min(least, lcKey(s)), free+1
		}
	}
	switch {
	case got == nil && free > 0:
		t.Errorf("nothing chosen although %d are free", free)
	case got == nil:
	case !got.Free():
		t.Errorf("a full server was chosen")
	case free > 0 && got == a.Tried:
		t.Errorf("the server to avoid was chosen")
	case free > 0 && lcKey(got) > least:
		t.Errorf("key %v chosen, %v was to be had", lcKey(got), least)
	}
}

func lcKey(s *upstream.Server) float64 {
	if n := s.Live.Load(); n > 0 {
		return float64(n+1) / float64(s.Weight)
	}
	return 0
}

func TestLeastConnTakesTurnsWhenIdle(t *testing.T) {
	p := policy(t, "leastconn").Picker(servers(1, 5, 2)).(Tracker)
	seen := map[string]int{}
	for range 30 {
		s := p.Pick(&Ask{})
		s.Take()
		p.Update(s)
		s.Give()
		p.Update(s)
		seen[s.Name]++
	}
	if seen["1"] != 10 || seen["2"] != 10 || seen["3"] != 10 {
		t.Errorf("idle servers are equal whatever their weight: %v", seen)
	}
}

// After many goroutines took and gave at once, every match names its winner.
func TestLeastConnSettles(t *testing.T) {
	s := many(33)
	p := policy(t, "leastconn").Picker(s).(*tournament)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var a Ask
			for i := range 3000 {
				x := p.Pick(&a)
				if x == nil || !x.Take() {
					continue
				}
				p.Update(x)
				if (i+g)%7 != 0 {
					x.Give()
					p.Update(x)
				}
			}
		})
	}
	wg.Wait()
	for n := p.size - 1; n > 0; n-- {
		if got, want := p.nodes[n].Load(), p.play(n); got != want {
			t.Errorf("node %d names %d, want %d", n, got, want)
		}
	}
	least, most := math.Inf(1), 0.0
	for _, s := range s {
		least, most = min(least, lcKey(s)), max(most, lcKey(s))
	}
	if most > 1.2*least { // four at once cannot go further astray
		t.Errorf("keys from %v to %v", least, most)
	}
}

// 100,000 draws of weights 1, 2, 3, one at a time: shares within 1 %.
func TestRandomDistribution(t *testing.T) {
	s := servers(1, 2, 3)
	p := randomPolicy{draws: 1}.Picker(s)
	const n = 120000
	count := map[*upstream.Server]int{}
	for range n {
		count[p.Pick(&Ask{})]++
	}
	for i, x := range s {
		share := float64(count[x]) / n
		if want := float64(i+1) / 6; math.Abs(share-want) > 0.01 {
			t.Errorf("server %s: share %.3f, want %.3f ± 0.01", x.Name, share, want)
		}
	}
}

func TestRandomOfTwoEvensLoad(t *testing.T) {
	s := servers(make100()...)
	p := policy(t, "random").Picker(s)
	for range 100 * 20 {
		if !p.Pick(&Ask{}).Take() {
			t.Fatal("no slot")
		}
	}
	for _, x := range s {
		// One draw alone would leave some at 35; two keep the highest close by.
		if n := x.Live.Active(); n > 26 {
			t.Errorf("server %s has %d of 20 on average", x.Name, n)
		}
	}
}

func make100() []int {
	w := make([]int, 100)
	for i := range w {
		w[i] = 1
	}
	return w
}

func TestRandomFindsTheLastFreeSlot(t *testing.T) {
	s := servers(make100()...)
	for i, x := range s {
		x.Maxconn = 1
		if i != 42 {
			x.Take()
		}
	}
	p := policy(t, "random").Picker(s)
	if got := p.Pick(&Ask{}); got != s[42] {
		t.Fatalf("got %v", got)
	}
	s[42].Take()
	if got := p.Pick(&Ask{}); got != nil {
		t.Fatalf("all are full, got %v", got.Name)
	}
}
