package balancer

import (
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// maglevSizes are the lengths of Maglev tables, primes, each with how many servers
// it serves: a hundred places a server keep their shares within a few percent,
// and what a change moves beside its own share small (Eisenbud et al., "Maglev: A
// Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4 and §5.3).
var maglevSizes = []struct{ servers, places int }{
	{655, 65537}, {10_000, 1_000_003}, {1 << 31, 10_000_019},
}

// maglevSize is the length of a policy's tables. It never shrinks: a table of
// another length has nearly every key elsewhere, and servers that come and go
// shall not do that.
type maglevSize struct{ most atomic.Int64 }

func (m *maglevSize) of(servers []*upstream.Server) int {
	n := int64(servers[len(servers)-1].Index + 1) // those that are down now count as well
	for {
		most := m.most.Load()
		if n <= most {
			n = most
			break
		}
		if m.most.CompareAndSwap(most, n) {
			break
		}
	}
	for _, s := range maglevSizes {
		if n <= int64(s.servers) {
			return s.places
		}
	}
	return maglevSizes[len(maglevSizes)-1].places
}

// maglev fills a table of that many places: in each round every server claims the
// first free place of its own permutation of them, a server with half the weight of
// the heaviest in every other round. The permutation is made of its name alone, so
// neither its place in the file nor its address matters.
func maglev(servers []*upstream.Server, size int) []uint32 {
	const free = ^uint32(0)
	table := make([]uint32, size)
	for i := range table {
		table[i] = free
	}
	heaviest := 0
	list := make([]claimant, len(servers))
	for i, s := range servers {
		h := nameHash(s.Name)
		list[i] = claimant{at: int(h >> 33 % uint64(size)), skip: int(h&(1<<32-1)%uint64(size-1)) + 1, weight: s.Share()}
		heaviest = max(heaviest, s.Share())
	}
	for left := size; ; {
		for i := range list {
			c := &list[i]
			if c.credit += c.weight; c.credit < heaviest {
				continue
			}
			c.credit -= heaviest
			for table[c.at] != free {
				c.step(size)
			}
			table[c.at] = uint32(i)
			c.step(size)
			if left--; left == 0 {
				return table
			}
		}
	}
}

// claimant is a server on its way through its permutation.
type claimant struct{ at, skip, weight, credit int }

func (c *claimant) step(size int) {
	if c.at += c.skip; c.at >= size {
		c.at -= size
	}
}

// nameHash is FNV-1a (Fowler, Noll, Vo, public domain) in 64 bits with the
// finish of MurmurHash3 (Austin Appleby, public domain), without which names that
// differ in their last letter only would have much the same upper half.
func nameHash(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
