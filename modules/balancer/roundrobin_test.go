package balancer

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The sequences of the behaviour reference, measured with HAProxy 2.6 and 3.4.
var sequences = []struct {
	weights []int
	want    string
}{
	{[]int{1, 1, 1}, "123"},
	{[]int{1, 2, 3}, "323132"},
	{[]int{3, 2, 1}, "121312"},
	{[]int{5, 1, 1}, "1112113"},
	{[]int{3, 1}, "1112"},
	{[]int{100, 50, 25}, "1121312"},
	{[]int{7}, "1"},
}

func TestRoundRobinSequences(t *testing.T) {
	for _, c := range sequences {
		want := strings.Repeat(c.want, 4)
		if got := names(policy(t, "roundrobin").Picker(servers(c.weights...)), len(want)); got != want {
			t.Errorf("weights %v: %s, want %s", c.weights, got, want)
		}
	}
}

// In each round every server has exactly as many turns as its weight, and never
// two more in a row than its share needs.
func TestScheduleIsFairAndSmooth(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		weights := make([]int, 1+rnd.IntN(12))
		for i := range weights {
			weights[i] = 1 + rnd.IntN(20)
		}
		w := reduce(weights)
		_, turns := schedule(w)
		total := 0
		for _, x := range w {
			total += x
		}
		if len(turns) != total {
			t.Fatalf("%v: %d turns, want %d", weights, len(turns), total)
		}
		count := make([]int, len(w))
		for pos, s := range turns {
			count[s]++
			// A server is never further ahead of its share than a turn a competitor
			// of its.
			if ahead := float64(count[s]) - float64(pos+1)*float64(w[s])/float64(total); ahead > float64(len(w)) {
				t.Fatalf("%v: server %d is %.1f turns ahead at %d: %v", weights, s, ahead, pos, turns)
			}
		}
		for i := range w {
			if count[i] != w[i] {
				t.Fatalf("%v: server %d has %d turns, want %d", weights, i, count[i], w[i])
			}
		}
	}
}

func TestRoundRobinSkipsTheFull(t *testing.T) {
	s := servers(1, 1, 1)
	p := policy(t, "roundrobin").Picker(s)
	s[1].Maxconn = 1
	if !s[1].Take() {
		t.Fatal("no slot")
	}
	if got := names(p, 6); got != "131313" {
		t.Errorf("with 2 full: %s, want 131313", got)
	}
	s[1].Give()
	// It is owed a turn, which it gets at once; it may not be filled by picks alone.
	if got := names(p, 1); got != "2" {
		t.Errorf("after 2 has a slot again: %s, want 2", got)
	}
	for _, s := range s {
		s.Maxconn = 1
		s.Take()
	}
	if got := names(p, 2); got != "--" {
		t.Errorf("all full: %s", got)
	}
}

func TestTriedIsAvoided(t *testing.T) {
	for _, text := range every() {
		s := servers(1, 1, 1)
		p := policy(t, text).Picker(s)
		for i := range 50 {
			x := request(strconv.Itoa(i))
			a := Ask{Tried: s[1], Client: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Exchange: x}
			if got := p.Pick(&a); got == nil || got == s[1] {
				t.Fatalf("%s: %v although another one is free", text, got)
			}
		}
		p = policy(t, text).Picker(s[:1])
		a := Ask{Tried: s[0], Client: addr("10.0.0.1"), Exchange: request("a")}
		if got := p.Pick(&a); got != s[0] {
			t.Errorf("%s: the only server was not taken again", text)
		}
		a.Tried = s[1]
		if got := p.Pick(&a); got != s[0] {
			t.Errorf("%s: avoiding a server that is not in it", text)
		}
	}
}

// A new picker goes on where the last one stood, as after a reload.
func TestTurnsGoOn(t *testing.T) {
	for _, text := range []string{"roundrobin", "static_rr"} {
		s := servers(1, 1, 1)
		got := names(policy(t, text).Picker(s), 4) + names(policy(t, text).Picker(s), 3)
		if got != "1231231" {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestRoundRobinManyAtOnce(t *testing.T) {
	s := servers(1, 2, 3)
	p := policy(t, "roundrobin").Picker(s)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var a Ask
			for range 600 {
				p.Pick(&a).Live.Total.Add(1)
			}
		})
	}
	wg.Wait()
	for i, s := range s {
		if got, want := s.Live.Total.Load(), int64(400*(i+1)); got != want {
			t.Errorf("server %s: %d picks, want exactly %d", s.Name, got, want)
		}
	}
}

func TestHugeWeightsAreBounded(t *testing.T) {
	weights := make([]int, 10000)
	for i := range weights {
		weights[i] = 255 + i%2
	}
	w := reduce(weights)
	total := 0
	for _, x := range w {
		if x < 1 {
			t.Fatal("a weight was rounded to nothing")
		}
		total += x
	}
	if total > maxSchedule {
		t.Errorf("%d turns, want at most %d", total, maxSchedule)
	}
}
