package balancer

import (
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// turns walks a fixed round of places. A full server loses its turn (HAProxy's
// map_get_server_rr and chash_get_next_server).
type turns struct {
	servers []*upstream.Server
	places  []uint32 // indexes into servers
	at      *atomic.Uint64
}

func (t *turns) Pick(a *Ask) *upstream.Server {
	// A round may be much longer than the list of servers: when as many places
	// as that twice over were in vain, the list is quicker.
	for range min(len(t.places), 2*len(t.servers)) {
		s := t.servers[t.places[(t.at.Add(1)-1)%uint64(len(t.places))]]
		if s != a.Tried && s.Free() {
			return s
		}
	}
	from := t.at.Load()
	for i := range t.servers {
		s := t.servers[(from+uint64(i))%uint64(len(t.servers))]
		if s != a.Tried && s.Free() {
			return s
		}
	}
	return lastResort(a, t.servers)
}
