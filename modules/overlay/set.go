package overlay

import (
	"slices"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Set is the changes that are kept at a moment. It is not changed any more: the
// next change makes a new Set.
type Set struct {
	kept   []kept
	orders map[upstream.Key]upstream.Order
	// version counts the Sets of the process; it is written before anybody sees
	// the Set.
	version uint64
}

// kept is a change that is kept, with what an added server is in the checked
// configuration.
type kept struct {
	Change
	node *config.Node
}

// structural reports whether the configuration has to be built anew for it.
func (k *kept) structural() bool { return k.Kind == Add || k.Kind == Remove || k.Kind == Ready }

// Order gives what the changes say of a server.
func (s *Set) Order(k upstream.Key) upstream.Order { return s.orders[k] }

func newSet(all []kept) *Set {
	s := &Set{kept: all, orders: make(map[upstream.Key]upstream.Order, len(all))}
	for i := range all {
		c := &all[i]
		k := c.key()
		o := s.orders[k]
		switch c.Kind {
		case Drain:
			o.Admin = upstream.Drain
		case Maint:
			o.Admin = upstream.Maint
		case Weight:
			o.Weight, _ = ParseWeight(c.Weight)
		case Maxconn:
			o.Maxconn = *c.Maxconn + 1
		default:
			continue
		}
		if c.By != "" {
			o.Why = "by " + c.By
		}
		s.orders[k] = o
	}
	return s
}

// with gives a Set in which a change has taken the place of what it outdates.
func (s *Set) with(c kept) *Set {
	all := s.without(func(o *kept) bool {
		if o.key() != c.key() {
			return false
		}
		// A server that is gone takes what was said of it along; one that is
		// ready is neither drained nor in maintenance.
		return c.Kind == Remove || o.Kind.aspect() == c.Kind.aspect() || c.Kind == Ready && o.Kind.aspect() == state
	})
	return newSet(append(all.kept, c))
}

// without gives a Set that lacks some changes. What was said of an added server
// goes with it.
func (s *Set) without(drop func(*kept) bool) *Set {
	gone := map[upstream.Key]bool{}
	for i := range s.kept {
		if c := &s.kept[i]; c.Kind == Add && drop(c) {
			gone[c.key()] = true
		}
	}
	all := make([]kept, 0, len(s.kept)+1)
	for i := range s.kept {
		if c := &s.kept[i]; !drop(c) && !gone[c.key()] {
			all = append(all, *c)
		}
	}
	return newSet(all)
}

// sameStructure reports whether two Sets ask for the same servers.
func (s *Set) sameStructure(o *Set) bool {
	pick := func(all []kept) (out []kept) {
		for _, c := range all {
			if c.structural() {
				out = append(out, c)
			}
		}
		return out
	}
	return slices.EqualFunc(pick(s.kept), pick(o.kept), func(a, b kept) bool {
		return a.Kind == b.Kind && a.key() == b.key() && a.node == b.node
	})
}

// nextExpiry gives the moment at which the first change expires.
func (s *Set) nextExpiry() (at time.Time, ok bool) {
	for i := range s.kept {
		if e := s.kept[i].Expires; !e.IsZero() && (!ok || e.Before(at)) {
			at, ok = e, true
		}
	}
	return at, ok
}

// find gives the kept change of one aspect of a server, nil if there is none.
func (s *Set) find(k upstream.Key, a aspect) *kept {
	for i := range s.kept {
		if c := &s.kept[i]; c.key() == k && c.Kind.aspect() == a {
			return c
		}
	}
	return nil
}
