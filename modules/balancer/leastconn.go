package balancer

import (
	"math"
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var leastConn = Module{
	Spec: spec.Word{
		Name: "leastconn",
		Doc:  "The server with the fewest exchanges in progress or waiting, by weight",
		Long: "For long sessions (databases, WebSockets), where taking turns would let load pile up. " +
			"Servers that are equally loaded take turns; idle ones are equal whatever their weight.",
		Example: "balance leastconn",
	},
	New: func(*config.Node) (Policy, error) { return leastConnPolicy{}, nil },
}

type leastConnPolicy struct{}

// none is the winner of a part of the tree without servers.
const none = math.MaxUint32

func (leastConnPolicy) Picker(servers []*upstream.Server) Picker {
	t := &tournament{servers: servers, size: 1}
	last := 0
	for _, s := range servers {
		last = max(last, s.Index)
	}
	for t.size < len(servers) {
		t.size *= 2
	}
	t.leaf = make([]int32, last+1)
	t.shares = make([]int64, len(servers))
	t.stamps = make([]atomic.Uint64, len(servers))
	t.nodes = make([]atomic.Uint32, t.size)
	for i, s := range servers {
		t.leaf[s.Index] = int32(i) + 1
		t.shares[i] = int64(s.Share())
	}
	for n := t.size - 1; n > 0; n-- {
		t.nodes[n].Store(t.play(n))
	}
	return t
}

// tournament keeps the order by load as a tree of matches: each node names the
// better one of its two halves, the root the best of all. A choice is one look
// at the root; a slot taken or given back replays the matches on the way from
// its leaf, as many as the logarithm of the number of servers. HAProxy keeps the
// same order in a tree under a lock.
//
// There is no lock here. Who replays a match reads the loads, writes the winner,
// and looks again: if anybody changed a load meanwhile, then either he or the
// other sees it and corrects the node. So every node is right as soon as nobody
// is changing loads, and meanwhile off by no more than the changes in progress.
// Slots that another generation's exchanges give back while it drains are seen
// when the next match nearby is replayed.
type tournament struct {
	servers []*upstream.Server
	shares  []int64
	stamps  []atomic.Uint64 // when the load last changed: among equals, the oldest wins
	tick    atomic.Uint64
	leaf    []int32         // by Server.Index: place in servers plus one; 0: not among them
	nodes   []atomic.Uint32 // 1 is the root, n has 2n and 2n+1; from size on they would be leaves
	size    int
}

func (t *tournament) Pick(a *Ask) *upstream.Server {
	s := t.servers[t.winner(1)]
	if s == a.Tried {
		if o := t.second(a.Tried); o != nil {
			return o
		}
	}
	if !s.Free() {
		return nil // and so is every other one, for full servers lose every match
	}
	return s
}

// second gives the best server but one: the best of those that its way to the
// root meets. It is nil when that one is full.
func (t *tournament) second(but *upstream.Server) *upstream.Server {
	best := uint32(none)
	for n := t.size + t.place(but); n > 1; n /= 2 {
		best = t.better(best, t.winner(n^1))
	}
	if best == none || !t.servers[best].Free() {
		return nil
	}
	return t.servers[best]
}

// place gives the leaf of a server, -1 if it does not take part.
func (t *tournament) place(s *upstream.Server) int {
	if s.Index >= len(t.leaf) {
		return -1
	}
	i := int(t.leaf[s.Index]) - 1
	if i < 0 || t.servers[i] != s {
		return -1
	}
	return i
}

// Update replays the matches of s, all the way up: to stop at one that it neither
// won nor wins would leave the rest to whoever changed that one, and were he
// suspended meanwhile, all choices would fall on the same server until he is back.
func (t *tournament) Update(s *upstream.Server) {
	i := t.place(s)
	if i < 0 {
		return
	}
	t.stamps[i].Store(t.tick.Add(1))
	for n := (t.size + i) / 2; n > 0; n /= 2 {
		for w := t.play(n); w != t.nodes[n].Load(); w = t.play(n) {
			t.nodes[n].Store(w)
		}
	}
}

func (t *tournament) play(n int) uint32 { return t.better(t.winner(2*n), t.winner(2*n+1)) }

func (t *tournament) winner(n int) uint32 {
	switch {
	case n < t.size:
		return t.nodes[n].Load()
	case n-t.size < len(t.servers):
		return uint32(n - t.size)
	}
	return none
}

// better compares two servers: free before full, idle before busy, then by
// (load+1)/weight, then who has been left alone for longer.
func (t *tournament) better(a, b uint32) uint32 {
	if a == none {
		return b
	}
	if b == none {
		return a
	}
	sa, sb := t.servers[a], t.servers[b]
	if fa, fb := sa.Free(), sb.Free(); fa != fb {
		if fa {
			return a
		}
		return b
	}
	ka, kb := key(sa.Live.Load(), t.shares[b]), key(sb.Live.Load(), t.shares[a])
	if ka == kb {
		ka, kb = int64(t.stamps[a].Load()), int64(t.stamps[b].Load())
	}
	if kb < ka {
		return b
	}
	return a
}

// key is HAProxy's key of a server, multiplied by the other's weight instead of
// divided by its own.
func key(load, otherShare int64) int64 {
	if load == 0 {
		return 0
	}
	return (load + 1) * otherShare
}
