package balancer

import (
	"math"
	"slices"

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
	i := p.places[at]
	switch {
	case a.Tried != nil:
		return p.retry(a, at)
	case p.admits(i):
		return p.servers[i]
	}
	return p.next(at)
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

func (p *hashed) admits(i uint32) bool {
	return p.bounds == nil || p.bounds.admits(p.servers[i], i)
}

func (p *hashed) after(at int) int {
	if at++; at < len(p.places) {
		return at
	}
	return 0
}

// next walks on from a place whose server has its share. There is always another
// one, unless loads change meanwhile; then it is the next one, however loaded.
func (p *hashed) next(at int) *upstream.Server {
	for k := p.after(at); k != at; k = p.after(k) {
		if i := p.places[k]; p.admits(i) {
			return p.servers[i]
		}
	}
	return p.servers[p.places[at]]
}

// maxPassed bounds how many servers a retry passes over for having had the
// exchange before.
const maxPassed = 8

// retry walks on from the place of one who was elsewhere before: the first retry
// goes to the second server on the way, the next one to the third, so that a retry
// does not come back to where an earlier one was. (HAProxy avoids the last one
// only.) When all on the way have their share, or are the one to avoid, the nearest
// other one will do, and it when there is none.
func (p *hashed) retry(a *Ask, at int) *upstream.Server {
	tries := 0
	if a.Exchange != nil {
		tries = min(a.Exchange.Record.Retries, maxPassed, len(p.servers)-1)
	}
	if p.servers[p.places[at]] == a.Tried {
		tries = max(tries, 1)
	}
	var passed [maxPassed]uint32
	n := 0
	var other *upstream.Server
	// That all others have their share need not be proven place by place.
	for range min(len(p.places), 64*len(p.servers)) {
		i := p.places[at]
		at = p.after(at)
		if slices.Contains(passed[:n], i) {
			continue
		}
		s, ok := p.servers[i], p.admits(i)
		if ok && n < tries {
			passed[n], n = i, n+1
		} else if ok && s != a.Tried {
			return s
		}
		if other == nil && s != a.Tried {
			other = s
		}
	}
	if other == nil {
		return a.Tried
	}
	return other
}
