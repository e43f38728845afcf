package balancer

import (
	"math/rand/v2"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var random = Module{
	Spec: spec.Word{
		Name: "random",
		Doc:  "The least loaded of N servers drawn at random by weight",
		Long: "Two draws are enough to keep load even; it needs no knowledge of what other proxies send, " +
			"so it suits many proxies before the same servers.",
		Example: "balance random 2",
		Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 100, Optional: true, Default: "2",
			Doc: "how many servers are drawn"}},
	},
	New: func(n *config.Node) (Policy, error) { return randomPolicy{draws: int(n.Int(0))}, nil },
}

type randomPolicy struct{ draws int }

func (p randomPolicy) Picker(servers []*upstream.Server) Picker {
	return &randomPicker{newLots(servers), max(1, p.draws)}
}

// newLots prepares Walker's alias table: a draw by weight costs one random
// number and one look, however many servers there are.
func newLots(servers []*upstream.Server) lots {
	r := lots{servers: servers, cells: make([]cell, len(servers))}
	total := 0
	for _, s := range servers {
		total += s.Share()
	}
	// Every cell holds total units, of which keep are its own server's and the
	// rest another's: what is short is filled up from what is over.
	units := make([]int, len(servers))
	var short, over []int
	for i, s := range servers {
		units[i] = s.Share() * len(servers)
		if units[i] < total {
			short = append(short, i)
		} else {
			over = append(over, i)
		}
	}
	for len(short) > 0 && len(over) > 0 {
		i, j := short[len(short)-1], over[len(over)-1]
		short = short[:len(short)-1]
		r.cells[i] = cell{keep: uint64(units[i]), other: uint32(j)}
		if units[j] -= total - units[i]; units[j] < total {
			over = over[:len(over)-1]
			short = append(short, j)
		}
	}
	for _, i := range append(short, over...) {
		r.cells[i] = cell{keep: uint64(total), other: uint32(i)}
	}
	r.total = uint64(total)
	return r
}

type cell struct {
	keep  uint64
	other uint32
}

// lots draws servers at random by weight.
type lots struct {
	servers []*upstream.Server
	cells   []cell
	total   uint64
}

type randomPicker struct {
	lots
	draws int
}

// Pick draws; a full server or the one to avoid does not count. When all draws
// were in vain it walks from a random place on, so that a free slot is found if
// there is one.
func (r *randomPicker) Pick(a *Ask) *upstream.Server {
	var best *upstream.Server
	for range r.draws {
		if s := r.draw(); s != a.Tried && s.Free() && (best == nil || less(s, best)) {
			best = s
		}
	}
	if best != nil {
		return best
	}
	return r.anyFree(a)
}

// anyFree walks from a random place on.
func (r *lots) anyFree(a *Ask) *upstream.Server {
	at := rand.IntN(len(r.servers))
	for i := range r.servers {
		if s := r.servers[(at+i)%len(r.servers)]; s != a.Tried && s.Free() {
			return s
		}
	}
	return lastResort(a, r.servers)
}

func (r *lots) draw() *upstream.Server {
	i := rand.IntN(len(r.cells))
	if c := &r.cells[i]; rand.Uint64N(r.total) >= c.keep {
		return r.servers[c.other]
	}
	return r.servers[i]
}

// less compares load by weight.
func less(a, b *upstream.Server) bool {
	return a.Live.Load()*int64(b.Share()) < b.Live.Load()*int64(a.Share())
}
