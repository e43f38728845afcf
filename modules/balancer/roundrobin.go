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

// Picker makes the tables of turns. HAProxy keeps its servers in trees by their
// next position and moves one a pick (its src/lb_fwrr.c). The order that comes
// out is one first round, in which the servers fall into step, and then the same
// round over and over, until after as many picks as the weights, counted in
// sixteenths, add up to it starts again (with servers of equal weight perhaps in
// another order; here they keep theirs). So both rounds can be laid out once and
// walked with one atomic addition.
func (rrPolicy) Picker(servers []*upstream.Server) Picker {
	shares, total := make([]int, len(servers)), 0
	for i, s := range servers {
		shares[i] = s.Share()
		total += shares[i]
	}
	first, round := schedule(reduce(shares))
	n := len(round)
	return &rr{servers: servers, first: first, round: round, restart: uint64(max(n, total/n*n)),
		at: &servers[0].Group.Turn}
}

// rr walks the tables. A full server loses its turn to the next one in the table
// that is not full, and is owed it: the first choice after it has a slot again.
// HAProxy lets every full server keep its place; here one at a time is
// remembered, since more would need a lock. It differs only while two or more
// servers are full at once, and by single turns.
type rr struct {
	servers      []*upstream.Server
	first, round []uint32
	restart      uint64
	at           *atomic.Uint64 // the pool's, so that a reload goes on where it stood
	owed         atomic.Pointer[upstream.Server]
}

func (r *rr) Pick(a *Ask) *upstream.Server {
	if o := r.owed.Load(); o != nil && o != a.Tried && o.Free() && r.owed.CompareAndSwap(o, nil) {
		return o
	}
	for range r.round {
		s := r.servers[r.turn()]
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

// turn gives whose turn it is.
func (r *rr) turn() uint32 {
	at := (r.at.Add(1) - 1) % r.restart
	if n := uint64(len(r.round)); at >= n {
		return r.round[at%n]
	}
	return r.first[at]
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

// schedule lays out the first round and those that follow. At each position the
// server is taken whose place has come; when none has, the heaviest that has not
// had its first turn yet begins here, or else the next in line comes early. A
// server comes again total/weight after its last place; the rest of that division
// is carried over. Of equal places the one with the lower rest less weight goes
// first, which is mostly the heavier, and then who came into line first.
func schedule(weights []int) (first, round []uint32) {
	order, total := byWeight(weights), 0
	for _, w := range weights {
		total += w
	}
	turns := make([]uint32, 0, 2*total)
	due := make(dueHeap, 0, len(weights))
	for pos := range 2 * total {
		if len(order) > 0 && (due.Len() == 0 || due[0].pos > pos) {
			s := order[0]
			order = order[1:]
			turns = append(turns, uint32(s))
			heap.Push(&due, place{server: s, pos: pos, weight: weights[s]}.next(total, pos))
			continue
		}
		turns = append(turns, uint32(due[0].server))
		due[0] = due[0].next(total, pos)
		heap.Fix(&due, 0)
	}
	return turns[:total], turns[total:]
}

// place is where a server stands in line.
type place struct {
	pos, rest, weight int
	server, since     int // since: the position at which it came into line
}

func (p place) next(total, now int) place {
	p.since = now
	p.pos += total / p.weight
	if p.rest += total % p.weight; p.rest >= p.weight {
		p.rest -= p.weight
		p.pos++
	}
	return p
}

type dueHeap []place

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	a, b := &h[i], &h[j]
	if a.pos != b.pos {
		return a.pos < b.pos
	}
	if x, y := a.rest-a.weight, b.rest-b.weight; x != y {
		return x < y
	}
	return a.since < b.since
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(place)) }
func (h *dueHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
