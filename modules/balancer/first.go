package balancer

import (
	"math/bits"
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var first = Module{
	Spec: spec.Word{
		Name: "first",
		Doc:  "The first server of the pool that has a free slot",
		Long: "So the last servers stay idle and may be switched off. It needs a `maxconn` for every server but the last, for a server without one " +
			"is never full; weights do not matter.",
		Example: "balance first",
	},
	New: func(*config.Node) (Policy, error) { return firstPolicy{}, nil },
}

type firstPolicy struct{}

func (firstPolicy) Picker(servers []*upstream.Server) Picker {
	last := servers[0].Index
	for _, s := range servers {
		last = max(last, s.Index)
	}
	f := &firstFree{servers: servers, place: make([]int32, last+1)}
	for n := len(servers); ; n = (n + 63) / 64 {
		f.levels = append(f.levels, make([]atomic.Uint64, (n+63)/64))
		if n <= 64 {
			break
		}
	}
	for i, s := range servers {
		f.place[s.Index] = int32(i) + 1
		f.settle(i)
	}
	return f
}

// firstFree keeps who has a free slot as bits, and for each 64 of them a bit that
// tells whether one is set, and so on: for 10,000 servers the first free one is
// found in three looks.
//
// There is no lock. Whoever changes a load sets the bit as he finds the server
// and looks again, and so on upwards: of two who change it at once, the later one
// corrects it. What nobody reports (slots that a draining generation gives back, a
// limit that grows with the load) is found because each choice also looks at one
// of the servers passed over, in turn.
type firstFree struct {
	servers []*upstream.Server
	levels  [][]atomic.Uint64 // 0: servers; the last has one word
	place   []int32           // by Server.Index: place in servers plus one; 0: not among them
	doubt   atomic.Uint64
}

func (f *firstFree) Pick(a *Ask) *upstream.Server {
	from := 0
	for range len(f.servers) {
		i := f.search(from)
		if i < 0 {
			break
		}
		if from == 0 && i > 0 {
			if d := int(f.doubt.Add(1) % uint64(i)); f.servers[d].Free() {
				f.settle(d)
				i = d
			}
		}
		s := f.servers[i]
		if s != a.Tried && s.Free() {
			return s
		}
		f.settle(i)
		from = i + 1
	}
	for i, s := range f.servers { // nobody is known to be free: make sure
		if s.Free() && s != a.Tried {
			f.settle(i)
			return s
		}
	}
	return lastResort(a, f.servers)
}

// Update notes that the load of s has changed.
func (f *firstFree) Update(s *upstream.Server) {
	if s.Index < len(f.place) {
		if i := int(f.place[s.Index]) - 1; i >= 0 && f.servers[i] == s {
			f.settle(i)
		}
	}
}

// settle makes the bit of a server right.
func (f *firstFree) settle(i int) {
	s := f.servers[i]
	for {
		free := s.Free()
		f.set(0, i, free)
		if s.Free() == free {
			return
		}
	}
}

// set changes a bit, and those above it where a word became empty or is so no
// longer.
func (f *firstFree) set(level, i int, on bool) {
	w, bit := &f.levels[level][i/64], uint64(1)<<(i%64)
	if (w.Load()&bit != 0) == on {
		return
	}
	top := level == len(f.levels)-1
	if on {
		w.Or(bit)
		if !top {
			f.set(level+1, i/64, true)
		}
		return
	}
	if w.And(^bit)&^bit != 0 || top {
		return
	}
	f.set(level+1, i/64, false)
	if w.Load() != 0 { // somebody set a bit meanwhile
		f.set(level+1, i/64, true)
	}
}

// search gives the first server from a place on whose bit is set, -1 if there is
// none.
func (f *firstFree) search(from int) int {
	level, i := 0, from
	for {
		if level == len(f.levels) || i/64 >= len(f.levels[level]) {
			return -1
		}
		if w := f.levels[level][i/64].Load() >> (i % 64); w != 0 {
			i += bits.TrailingZeros64(w)
			if level == 0 {
				return i
			}
			level, i = level-1, i*64
			continue
		}
		level, i = level+1, i/64+1 // the rest of the word is empty: on in the next one
	}
}
