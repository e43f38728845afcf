package balancer

import (
	"fmt"
	"math"
	"testing"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// closest against a plain walk over all points.
func TestClosest(t *testing.T) {
	points := []uint32{5, 5, 100, 200, 1 << 31, 1<<32 - 10}
	for _, h := range []uint32{0, 5, 6, 52, 53, 100, 150, 151, 200, 1 << 30, 1<<32 - 10, 1<<32 - 9, 1<<32 - 3, 1<<32 - 1} {
		// What HAProxy does: the first point not below h, and the one before it; the
		// latter if it is no farther away.
		next := 0
		for next < len(points) && points[next] < h {
			next++
		}
		next %= len(points)
		prev := (next + len(points) - 1) % len(points)
		want := next
		if h-points[prev] <= points[next]-h {
			want = prev
		}
		if got := closest(points, h); got != want {
			t.Errorf("%d: place %d, want %d", h, got, want)
		}
	}
	if closest([]uint32{7}, 9) != 0 {
		t.Error("a single point")
	}
}

// keys is how many hashes stand for all of them.
const keys = 20000

func owners(p Picker) []*upstream.Server {
	h := p.(*hashed)
	out := make([]*upstream.Server, keys)
	for i := range out {
		out[i] = h.servers[h.places[h.find(sdbm(0, fmt.Sprint("/some/key/", i)))]]
	}
	return out
}

// When one of 100 servers leaves, its own keys must move. Of the others none does
// on a ring, and few do in a Maglev table; nearly all do in a map.
func TestDisruption(t *testing.T) {
	for _, c := range []struct {
		layout string
		most   float64 // share of the other servers' keys that move
	}{
		{"consistent", 0}, {"maglev", 0.02},
	} {
		pol := policy(t, "uri "+c.layout)
		all := servers(make100()...)
		before := owners(pol.Picker(all))
		left := append(append([]*upstream.Server(nil), all[:41]...), all[42:]...)
		after := owners(pol.Picker(left))
		own, moved := 0, 0
		for i := range before {
			switch {
			case before[i] == all[41]:
				own++
			case before[i] != after[i]:
				moved++
			}
			if after[i] == all[41] {
				t.Fatalf("%s: the server that left has a key", c.layout)
			}
		}
		share := float64(moved) / float64(keys-own)
		t.Logf("%s: %.2f %% of the keys were its own, %.2f %% of the others moved", c.layout, 100*float64(own)/keys, 100*share)
		if share > c.most {
			t.Errorf("%s: %.2f %% of the other servers' keys moved, want at most %.2f %%", c.layout, 100*share, 100*c.most)
		}
		if back := owners(pol.Picker(all)); fmt.Sprint(back) != fmt.Sprint(before) {
			t.Errorf("%s: after it came back the keys are elsewhere", c.layout)
		}
	}
}

// Shares follow the weights: a Maglev table's places to a percent, a map's
// exactly, a ring's as well as 16 points for a weight of 1 can.
func TestLayoutShares(t *testing.T) {
	weights := []int{1, 2, 3, 10, 4}
	for _, c := range []struct {
		layout    string
		tolerance float64 // of a server's share, relative
	}{
		{"map", 0}, {"maglev", 0.01}, {"consistent", 0.75},
	} {
		s := servers(weights...)
		h := policy(t, "uri "+c.layout).Picker(s).(*hashed)
		count := make([]float64, len(s))
		for i, o := range h.places {
			if c.layout == "consistent" { // the arc whose nearest point this is
				prev := h.points[(i+len(h.points)-1)%len(h.points)]
				next := h.points[(i+1)%len(h.points)]
				count[o] += float64(next-h.points[i])/2 + float64(h.points[i]-prev)/2
			} else {
				count[o]++
			}
		}
		all := 0.0
		for _, n := range count {
			all += n
		}
		for i, w := range weights {
			want := float64(w) / 20
			if got := count[i] / all; math.Abs(got-want) > want*c.tolerance+1e-9 {
				t.Errorf("%s: weight %d of 20 has %.4f of all, want %.4f ± %.0f %%", c.layout, w, got, want, 100*c.tolerance)
			}
		}
	}
}

// A server's place in the file moves ring keys, as in HAProxy, but no Maglev ones.
func TestMaglevGoesByName(t *testing.T) {
	s := servers(1, 1, 1, 1)
	before := owners(policy(t, "uri maglev").Picker(s))
	turned := servers(1, 1, 1, 1)
	turned[0].Name, turned[3].Name = turned[3].Name, turned[0].Name
	after := owners(policy(t, "uri maglev").Picker(turned))
	same := 0
	for i := range before {
		if before[i].Name == after[i].Name {
			same++
		}
	}
	if float64(same) < 0.99*keys { // who claims first matters a little
		t.Errorf("%d of %d keys stayed", same, keys)
	}
}

// A table's length stays when servers go, or all keys would move.
func TestMaglevKeepsItsLength(t *testing.T) {
	var m maglevSize
	s := many(10001)
	got := fmt.Sprint(m.of(s[:3]), m.of(s[:655]), m.of(s[:656]), m.of(s[:300]), m.of(s), m.of(s[:1]))
	if want := "65537 65537 1000003 1000003 10000019 10000019"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := len(policy(t, "uri maglev").Picker(s[:9]).(*hashed).places); got != 65537 {
		t.Errorf("%d places", got)
	}
}

func TestHugeRingIsBounded(t *testing.T) {
	s := many(3)
	for _, x := range s {
		x.Weight = 256
	}
	if places, _ := ring(s, maxPoints); len(places) != 3*keyRange {
		t.Errorf("%d points", len(places))
	}
	s[0].Weight = 1
	places, _ := ring(s, 1000)
	count := make([]int, 3)
	for _, i := range places {
		count[i]++
	}
	if fmt.Sprint(count) != "[1 499 499]" {
		t.Errorf("a ring of 1000 points has %v", count)
	}
}

// With balance_factor nobody has more than that part of the average, rounded up,
// however hot a key is.
func TestBoundedLoad(t *testing.T) {
	for _, layout := range []string{"map", "consistent", "maglev"} {
		for _, factor := range []int{110, 125, 200} {
			s := servers(1, 2, 3, 1, 1)
			p := policy(t, fmt.Sprintf("uri %s balance_factor %d%%", layout, factor)).Picker(s)
			a := Ask{Exchange: request("hot")}
			for n := 1; n <= 400; n++ {
				got := p.Pick(&a)
				if !a.Bound || !got.Take() {
					t.Fatalf("%s: not bound", layout)
				}
				slots := (n*factor + 99) / 100
				if limit := int64(slots*got.Weight/8) + 1; got.Live.Active() > limit {
					t.Fatalf("%s, %d %%: after %d server %s has %d, want at most %d", layout, factor, n, got.Name, got.Live.Active(), limit)
				}
			}
		}
	}
}

// While it starts slowly a server has part of its points only, and those are
// among the points that it will have.
func TestSlowStartOnTheRing(t *testing.T) {
	s := servers(4, 4)
	s[1].Live.SetRamp(25)
	for _, layout := range []string{"consistent", "maglev"} {
		h := policy(t, "uri "+layout).Picker(s).(*hashed)
		n := 0
		for _, i := range h.places {
			n += int(i)
		}
		if share := float64(n) / float64(len(h.places)); math.Abs(share-0.2) > 0.005 {
			t.Errorf("%s: at a quarter of its weight it has %.3f, want 0.2", layout, share)
		}
	}
	h := policy(t, "uri").Picker(s).(*hashed)
	if len(h.places) != 2 {
		t.Error("a map knows no slow start")
	}
}

// Without a key servers take turns in HAProxy's order: along the map, or the ring.
func TestWithoutAKey(t *testing.T) {
	s := servers(1, 2, 3)
	if got := names(policy(t, "header X-Key").Picker(s), 12); got != "132323132323" {
		t.Errorf("map: %s", got)
	}
	p := policy(t, "header X-Key consistent").Picker(servers(1, 2, 3)).(*hashed)
	want := ""
	for _, i := range p.places[:40] {
		want += p.servers[i].Name
	}
	if got := names(p, 40); got != want {
		t.Errorf("ring: %s, want %s", got, want)
	}
}

// Retries go on along the way, and never back to where one was before.
func TestRetriesGoOn(t *testing.T) {
	for _, layout := range []string{"map", "consistent", "maglev", "consistent balance_factor 150%"} {
		s := servers(1, 3, 2, 1, 5)
		p := policy(t, "uri "+layout).Picker(s)
		for i := range 50 {
			x := request(fmt.Sprint(i))
			a := Ask{Exchange: x}
			seen := map[*upstream.Server]bool{}
			for range s {
				got := p.Pick(&a)
				if got == nil || seen[got] {
					t.Fatalf("%s: after %d tries %v again", layout, len(seen), got)
				}
				seen[got] = true
				a.Tried = got
				x.Record.Retries++
			}
		}
	}
}
