package balancer

import (
	"fmt"
	"net/netip"
	"testing"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestSourceHash(t *testing.T) {
	for _, c := range []struct {
		ip   string
		want uint32
	}{
		{"10.0.0.1", 0x0a000001},
		{"::ffff:10.0.0.1", 0x0a000001},
		{"2001:db8::1", 0x20010db8 ^ 1},
		{"::1", 1},
		{"1:2:3:4:5:6:7:8", 0x00010002 ^ 0x00030004 ^ 0x00050006 ^ 0x00070008},
	} {
		if got := sourceHash(addr(c.ip)); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.ip, got, c.want)
		}
	}
}

func TestStaticMap(t *testing.T) {
	for _, c := range []struct {
		weights []int
		want    string
	}{
		{[]int{1, 2, 3}, "132323"}, // measured: the behaviour reference, static-rr
		{[]int{5, 1, 1}, "1112113"},
		{[]int{1, 1, 1}, "123"},
		{[]int{4, 4}, "12"},
		{[]int{9}, "1"},
	} {
		got := ""
		for _, i := range staticMap(reduce(c.weights)) {
			got += fmt.Sprint(i + 1)
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.weights, got, c.want)
		}
	}
}

// The quick way gives what the plain one, which walks all servers for each
// place, gives.
func TestStaticMapModel(t *testing.T) {
	for n := 1; n < 9; n++ {
		for seed := range 60 {
			weights := make([]int, n)
			for i := range weights {
				weights[i] = 1 + (seed*7919+i*104729)%(5+seed)
			}
			weights = reduce(weights)
			if got, want := fmt.Sprint(staticMap(weights)), fmt.Sprint(plainMap(weights)); got != want {
				t.Fatalf("%v:\n got %s\nwant %s", weights, got, want)
			}
		}
	}
}

func plainMap(weights []int) (table []uint32) {
	total := 0
	for _, w := range weights {
		total += w
	}
	score := make([]int, len(weights))
	for range total {
		best, most := 0, -1
		for i, w := range weights {
			score[i] += w
			if v := (score[i] + total) / total; v > most {
				best, most = i, v
			}
		}
		score[best] -= total
		table = append(table, uint32(best))
	}
	return table
}

func TestSourceBindsAndWaits(t *testing.T) {
	s := servers(1, 1, 1)
	p := policy(t, "source").Picker(s)
	for i := range 30 {
		a := Ask{Client: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})}
		// 10.0.0.0 is 167772160, which leaves 1 when divided by 3.
		if got, want := p.Pick(&a), s[(1+i)%3]; got != want || !a.Bound {
			t.Fatalf("%v: server %s (bound %v), want %s", a.Client, got.Name, a.Bound, want.Name)
		}
	}
	a := Ask{Client: addr("10.0.0.0")}
	s[1].Maxconn = 1
	s[1].Take()
	if got := p.Pick(&a); got != s[1] || !a.Bound {
		t.Errorf("a full server was not kept to")
	}
	if got := names(p, 3); got != "131" {
		t.Errorf("without an address: %s, want turns of those that have a slot", got)
	}
}
