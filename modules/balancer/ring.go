package balancer

import (
	"slices"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Of HAProxy's consistent hashing (its src/lb_chash.c).
const (
	// pointsPerWeight is how many points a server has on the ring for a weight
	// of 1, which makes a full ring of Share points.
	pointsPerWeight = upstream.ShareScale
	// keyRange is how far the keys of two servers lie apart: the most points that
	// one can have.
	keyRange = 256 * pointsPerWeight
	// maxPoints bounds the memory of a ring, 8 bytes a point. Above it (such as
	// 10,000 servers with weights above 26) all have fewer points by the same part.
	maxPoints = 1 << 22
)

// ring gives the places of a ring and their points, ascending, about limit of them
// at most (maxPoints, but for tests). The points of a
// server depend on its position in the pool and on its weight only, so those of
// the others stay where they are when one comes or goes.
func ring(servers []*upstream.Server, limit int) (places, points []uint32) {
	total := 0
	for _, s := range servers {
		total += s.Share()
	}
	all := make([]uint64, 0, min(total, limit+len(servers)))
	for i, s := range servers {
		n := s.Share()
		if total > limit {
			n = max(1, n*limit/total)
		}
		base := uint32(s.Index+1) * keyRange
		for j := range n {
			// Of equal points the one of the server declared first comes first.
			all = append(all, uint64(mix(base+uint32(j)))<<32|uint64(i))
		}
	}
	slices.Sort(all)
	places, points = make([]uint32, len(all)), make([]uint32, len(all))
	for k, p := range all {
		points[k], places[k] = uint32(p>>32), uint32(p)
	}
	return places, points
}

// closest gives the place whose point is nearest to h on the ring, of two equally
// near ones that before it.
func closest(points []uint32, h uint32) int {
	next, end := 0, len(points)
	for next < end { // the first point that is not below h
		if m := int(uint(next+end) / 2); points[m] < h {
			next = m + 1
		} else {
			end = m
		}
	}
	if next == len(points) {
		next = 0
	}
	prev := next - 1
	if prev < 0 {
		prev = len(points) - 1
	}
	if h-points[prev] <= points[next]-h { // both wrap around
		return prev
	}
	return next
}
