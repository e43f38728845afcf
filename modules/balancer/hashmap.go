package balancer

import (
	"container/heap"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// mapped lays a pool out as HAProxy's `hash-type map-based`: a round in which
// every server stands as often as its weight, looked up by the hash modulo its
// length. It is the fixed round of static_rr, too.
func mapped(servers []*upstream.Server) []uint32 {
	weights := make([]int, len(servers))
	for i, s := range servers {
		weights[i] = s.WeightNow() // not Share: a map does not know slow starts
	}
	return staticMap(reduce(weights))
}

// staticMap lays out one round as HAProxy's recalc_server_map does: at each place
// every server's score grows by its weight; the winner is who has the highest
// whole number of rounds to its credit, the earliest in the configuration among
// equals, and pays one round for it. Walking all servers for every place takes
// places × servers steps, minutes for large pools; so it is computed when a
// server's credit will next grow, and only those events are looked at.
func staticMap(weights []int) []uint32 {
	total := 0
	for _, w := range weights {
		total += w
	}
	m := &mapper{weights: weights, total: total, picked: make([]int, len(weights)),
		credit: make([]int, len(weights)), events: make([][]uint32, total+1)}
	for i := range weights {
		m.credit[i] = 1
		heap.Push(&m.ready[1], i)
		m.schedule(i, 1)
	}
	table := make([]uint32, 0, total)
	for place := 1; place <= total; place++ {
		for _, i := range m.events[place] {
			m.settle(int(i), place)
			m.schedule(int(i), place+1)
		}
		i := m.best()
		table = append(table, uint32(i))
		m.picked[i]++
		m.settle(i, place)
	}
	return table
}

// mapper is the state of one staticMap.
type mapper struct {
	weights, picked []int
	credit          []int // level now: 0 in debt, 1 nothing owed, 2 and up rounds to its credit
	total           int
	events          [][]uint32 // by place: servers whose level may grow there
	ready           [4]intHeap // by level; entries whose level has changed since are skipped
}

// level is ⌊(score+total)/total⌋ after place steps, which is 0 to 3.
func (m *mapper) level(i, place int) int {
	score := place*m.weights[i] - m.picked[i]*m.total
	return min(max((score+m.total)/m.total, 0), 3)
}

// settle puts a server where it belongs at a place.
func (m *mapper) settle(i, place int) {
	l := m.level(i, place)
	if l != m.credit[i] {
		m.credit[i] = l
		heap.Push(&m.ready[l], i)
	}
}

// schedule notes the first place from on where the level grows, which picks do
// not change: where place × weight reaches the next multiple of the total.
func (m *mapper) schedule(i, from int) {
	w := m.weights[i]
	next := ((from-1)*w/m.total + 1) * m.total
	if at := max(from, (next+w-1)/w); at <= m.total {
		m.events[at] = append(m.events[at], uint32(i))
	}
}

func (m *mapper) best() int {
	for l := len(m.ready) - 1; ; l-- {
		for h := &m.ready[l]; h.Len() > 0; {
			if i := (*h)[0]; m.credit[i] == l {
				return i
			}
			heap.Pop(h)
		}
	}
}

type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
