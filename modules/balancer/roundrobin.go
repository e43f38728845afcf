package balancer

import (
	"container/heap"
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var roundRobin = Module{
	Spec: spec.Word{
		Name: "roundrobin",
		Doc:  "Each server in its turn, as often as its weight says, without bursts",
		Long: "The default. Weights count relative to each other; heavier servers come more often, spread evenly. " +
			"A server at its `maxconn` is skipped and catches up afterwards.",
		Example: "balance roundrobin",
	},
	New: func(*config.Node) (Policy, error) { return rrPolicy{}, nil },
}

type rrPolicy struct{}

// maxSchedule bounds the table of turns. Above it (thousands of servers with
// weights that have no common divisor) weights are rounded.
const maxSchedule = 1 << 20

// Picker makes the table of one whole round, in which every server stands as
// often as its weight says. HAProxy keeps two trees and moves one server a pick
// (its src/lb_fwrr.c); the order that comes out repeats every round, so it can be
// laid out once and walked with one atomic addition.
func (rrPolicy) Picker(servers []*upstream.Server) Picker {
	shares := make([]int, len(servers))
	for i, s := range servers {
		shares[i] = s.Share()
	}
	return newRR(servers, shares)
}

func newRR(servers []*upstream.Server, shares []int) *rr {
	return &rr{servers: servers, turns: schedule(reduce(shares))}
}

// rr walks the table. A full server loses its turn to the next one in the table
// that is not full, and is owed it: the first choice after it has a slot again.
// HAProxy lets every full server keep its place; here one at a time is
// remembered, since more would need a lock. It differs only while two or more
// servers are full at once, and by single turns.
type rr struct {
	servers []*upstream.Server
	turns   []uint32
	at      atomic.Uint64
	owed    atomic.Pointer[upstream.Server]
}

func (r *rr) Pick(a *Ask) *upstream.Server {
	if o := r.owed.Load(); o != nil && o != a.Tried && o.Free() && r.owed.CompareAndSwap(o, nil) {
		return o
	}
	n := uint64(len(r.turns))
	for range n {
		s := r.servers[r.turns[(r.at.Add(1)-1)%n]]
		switch {
		case s == a.Tried:
		case s.Free():
			return s
		case r.owed.Load() == nil:
			r.owed.CompareAndSwap(nil, s)
		}
	}
	return lastResort(a, r.servers)
}

// lastResort gives the server that was tried before, if it is one of those to
// choose from and has a free slot: it is taken when there is nothing else.
func lastResort(a *Ask, servers []*upstream.Server) *upstream.Server {
	if a.Tried == nil || !a.Tried.Free() {
		return nil
	}
	for _, s := range servers {
		if s == a.Tried {
			return s
		}
	}
	return nil
}

// reduce divides weights by their greatest common divisor, and rounds them if
// they would still make too long a table.
func reduce(weights []int) []int {
	out := append([]int(nil), weights...)
	g, total := 0, 0
	for _, w := range out {
		g = gcd(g, w)
		total += w
	}
	if g == 0 {
		return out
	}
	limit := max(maxSchedule, len(out))
	for i := range out {
		out[i] /= g
		if total/g > limit {
			out[i] = max(1, out[i]*(limit/2)/(total/g))
		}
	}
	return out
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// schedule lays out one round. At each position the server is taken whose place
// has come (ties: the heavier, then the earlier in the configuration); when none
// has, the heaviest that has not had its first turn yet begins here. Having been
// taken at position p, a server comes again at p + total/weight, remainders
// carried over.
func schedule(weights []int) []uint32 {
	order := byWeight(weights)
	total := 0
	for _, w := range weights {
		total += w
	}
	turns := make([]uint32, 0, total)
	due := &dueHeap{}
	fresh := 0
	for pos := 0; pos < total; pos++ {
		var d turn
		if due.Len() > 0 && ((*due)[0].pos <= pos || fresh == len(order)) {
			d = heap.Pop(due).(turn)
		} else {
			d = turn{rank: fresh, server: order[fresh], pos: pos}
			fresh++
		}
		turns = append(turns, uint32(d.server))
		w := weights[d.server]
		d.pos += total / w
		if d.rest += total % w; d.rest >= w {
			d.rest -= w
			d.pos++
		}
		if d.times++; d.times < w {
			heap.Push(due, d)
		}
	}
	return turns
}

// turn is the next place of one server.
type turn struct {
	pos, rank           int // rank: place in the order by weight
	server, rest, times int
}

type dueHeap []turn

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].pos < h[j].pos || h[i].pos == h[j].pos && h[i].rank < h[j].rank
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(turn)) }
func (h *dueHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
