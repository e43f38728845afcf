package balancer

import (
	"math"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// hashKey says what a hash is made of.
type hashKey interface {
	// hash gives the hash of what the one who asks shows; ok is false if it
	// shows no key.
	hash(a *Ask) (h uint32, ok bool)
	needs() Need
}

// hashOptions are the options of every algorithm that hashes, behind its own.
func hashOptions(own ...spec.Word) []spec.Word {
	return append(own,
		spec.Word{Name: "map", Doc: "by a table of the usable servers (the default): even, but most keys move when a server comes or goes"},
		spec.Word{Name: "consistent", Doc: "on a ring, where a server stands by its position in the pool: few keys move when one comes or goes"},
		spec.Word{Name: "maglev", Doc: "by Maglev's table, made of the servers' names: even, and few keys move, whatever their order in the file"},
		spec.Word{
			Name: "balance_factor",
			Doc:  "how much of the average load, by weight, a server may have before its keys go to the next one",
			Args: []spec.Arg{{Name: "PERCENT", Kind: spec.Percent, Min: 101, Max: math.MaxUint16, Doc: "more than 100%"}},
		})
}

// layout is how servers are laid out for hashes.
type layout uint8

const (
	layMap layout = iota
	layRing
	layMaglev
)

var layouts = map[string]layout{"map": layMap, "consistent": layRing, "maglev": layMaglev}

// newHash makes the policy of an algorithm that hashes.
func newHash(n *config.Node, k hashKey) (Policy, error) {
	p := &hashPolicy{key: k, factor: n.OptionInt("balance_factor")}
	chosen := ""
	for i := range n.Options {
		o := &n.Options[i]
		l, ok := layouts[o.Word]
		if !ok {
			continue
		}
		if chosen != "" {
			return nil, refuse(o.Range, "`"+o.Word+"` and `"+chosen+"` exclude each other", "they lay out the servers for hashes: choose one")
		}
		p.layout, chosen = l, o.Word
	}
	return p, nil
}

type hashPolicy struct {
	key    hashKey
	layout layout
	factor int64 // of balance_factor in percent, 0: load does not matter
	size   maglevSize
}

func (p *hashPolicy) Picker(servers []*upstream.Server) Picker {
	h := &hashed{key: p.key, servers: servers, layout: p.layout}
	if p.factor > 0 {
		h.bounds = newBounds(servers, p.factor)
	}
	group := servers[0].Group
	switch p.layout {
	case layMap:
		h.places = mapped(servers)
	case layRing:
		h.places, h.points = ring(servers, maxPoints)
	case layMaglev:
		h.places = maglev(servers, p.size.of(servers))
		h.rest = rrPolicy{}.Picker(servers)
		return h
	}
	// Without a key HAProxy walks the map, or the ring, itself.
	h.rest = &turns{servers: servers, places: h.places, at: &group.Turn}
	return h
}

// Needs implements Keyed.
func (p *hashPolicy) Needs() Need { return p.key.needs() }

// hashed picks by a hash: the server at its place in the layout, or, when that is
// to be avoided or has more than its share of the load, the next one behind it.
type hashed struct {
	key     hashKey
	servers []*upstream.Server
	places  []uint32 // indexes into servers
	points  []uint32 // of a ring: the hash of each place, ascending
	layout  layout
	bounds  *bounds // nil: load does not matter
	rest    Picker  // for those without a key
}

// Binds marks it as a Binder.
func (p *hashed) Binds() {}

// Pick binds whoever has a key to a server, full or not.
func (p *hashed) Pick(a *Ask) *upstream.Server {
	if len(p.servers) == 1 { // nothing to choose: HAProxy, too, hashes nothing then
		a.Bound = true
		return p.servers[0]
	}
	h, ok := p.key.hash(a)
	if !ok {
		return p.rest.Pick(a)
	}
	a.Bound = true
	at := p.find(h)
	if i := p.places[at]; p.takes(a, i) {
		return p.servers[i]
	}
	return p.next(a, at)
}

// find gives the place of a hash. Ring and Maglev mix it first, as HAProxy does for
// `hash-type consistent`: keys that differ little shall lie far apart.
func (p *hashed) find(h uint32) int {
	switch p.layout {
	case layRing:
		return closest(p.points, mix(h))
	case layMaglev:
		h = mix(h)
	case layMap:
	}
	return int(h % uint32(len(p.places)))
}

func (p *hashed) takes(a *Ask, i uint32) bool {
	s := p.servers[i]
	return s != a.Tried && (p.bounds == nil || p.bounds.admits(s, i))
}

// next walks on from a place whose server will not do. Of servers within their
// bounds there is always one, unless it is the one to avoid or loads change
// meanwhile; then it is the next other server, however loaded.
func (p *hashed) next(a *Ask, at int) *upstream.Server {
	var other *upstream.Server
	steps := len(p.places)
	if a.Tried != nil { // it may be the only one within its bounds, which need not be proven
		steps = min(steps, 64*len(p.servers))
	}
	for range steps {
		if at++; at == len(p.places) {
			at = 0
		}
		i := p.places[at]
		if p.takes(a, i) {
			return p.servers[i]
		}
		if s := p.servers[i]; other == nil && s != a.Tried {
			other = s
			if p.bounds == nil {
				break
			}
		}
	}
	if other == nil {
		return a.Tried
	}
	return other
}
