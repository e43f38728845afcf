package balancer

import "github.com/loadstar-lb/loadstar/modules/upstream"

// bounds is consistent hashing with bounded loads (Mirrokni, Thorup,
// Zadimoghaddam, 2016) as HAProxy counts it in chash_server_is_eligible: so many
// slots as the exchanges in progress and this one, times the factor, are dealt out
// by weight, the odd ones in the order of the servers.
type bounds struct {
	factor int64 // percent
	total  int64
	share  []int64 // by index into the picker's servers
	before []int64 // the shares of those before it
}

func newBounds(servers []*upstream.Server, factor int64) *bounds {
	b := &bounds{factor: factor, share: make([]int64, len(servers)), before: make([]int64, len(servers))}
	for i, s := range servers {
		b.share[i], b.before[i] = int64(s.Share()), b.total
		b.total += b.share[i]
	}
	return b
}

// admits reports whether the server has less than its part of the load.
func (b *bounds) admits(s *upstream.Server, i uint32) bool {
	slots := ((s.Group.Active()+1)*b.factor + 99) / 100
	each, rest := slots/b.total, slots%b.total
	own := b.share[i]*each + (b.before[i]+b.share[i])*rest/b.total - b.before[i]*rest/b.total
	return s.Live.Active() < max(1, own)
}
