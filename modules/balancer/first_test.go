package balancer

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// TestFirstIsTheFirst takes and gives slots at random and holds each choice
// against a walk over all servers.
func TestFirstIsTheFirst(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 63, 64, 65, 300, 4097} {
		s := many(n)
		for i := range s {
			s[i].Maxconn = 1 + i%2
		}
		p := policy(t, "first").Picker(s).(Tracker)
		var held []*upstream.Server
		for step := range max(200, n) {
			if len(held) > 0 && rnd.IntN(100) < 40 {
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
			got, want := p.Pick(&a), plainFirst(s, a.Tried)
			if got != want {
				t.Fatalf("%d servers, step %d: %v, want %v", n, step, got, want)
			}
			if got != nil && got.Take() {
				p.Update(got)
				held = append(held, got)
			}
		}
	}
}

func plainFirst(all []*upstream.Server, tried *upstream.Server) *upstream.Server {
	var avoided *upstream.Server
	for _, s := range all {
		if s.Free() && s != tried {
			return s
		} else if s.Free() {
			avoided = s
		}
	}
	return avoided
}

// Slots that come free without a word (of a draining generation) are found all the
// same, after as many choices as servers were passed over.
func TestFirstFindsWhatNobodyReported(t *testing.T) {
	s := many(10)
	for _, x := range s {
		x.Maxconn = 1
	}
	s[9].Maxconn = 0
	p := policy(t, "first").Picker(s).(Tracker)
	for _, x := range s[:9] {
		x.Take()
		p.Update(x)
	}
	var a Ask
	if got := p.Pick(&a); got != s[9] {
		t.Fatalf("server %s, want the last one", got.Name)
	}
	s[4].Give()
	found := false
	for range 9 {
		found = found || p.Pick(&a) == s[4]
	}
	if !found {
		t.Error("a free server was not found")
	}
	s[9].Maxconn = 1
	s[9].Take()
	p.Update(s[9])
	s[4].Take()
	p.Update(s[4])
	if got := p.Pick(&a); got != nil {
		t.Fatalf("all are full, got %s", got.Name)
	}
	s[7].Give()
	if got := p.Pick(&a); got != s[7] {
		t.Error("the only free server was not found at once")
	}
}

// After many goroutines took and gave at once, every bit is right.
func TestFirstSettles(t *testing.T) {
	s := many(130)
	for _, x := range s {
		x.Maxconn = 1
	}
	p := policy(t, "first").Picker(s).(*firstFree)
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
				if (i+g)%70 != 0 {
					x.Give()
					p.Update(x)
				}
			}
		})
	}
	wg.Wait()
	for l, words := range p.levels {
		for i := range words {
			for b := range 64 {
				n, want := i*64+b, false
				switch {
				case l == 0 && n < len(s):
					want = s[n].Free()
				case l > 0 && n < len(p.levels[l-1]):
					want = p.levels[l-1][n].Load() != 0
				}
				if got := words[i].Load()>>b&1 != 0; got != want {
					t.Errorf("level %d, bit %d: %v, want %v", l, n, got, want)
				}
			}
		}
	}
}
