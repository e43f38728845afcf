package pool

import (
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Peek tells whom an exchange would get, without taking a slot; bound says that
// it, and only it, would do: a hash or persistence says so. nil: nobody is usable,
// or all are full. It is for reports: a turn may be used up.
func (p *Pool) Peek(a *balancer.Ask) (s *upstream.Server, bound bool) {
	s = p.choose(p.set.Load(), a)
	return s, a.Bound
}

// Refresh looks at the servers anew. It is for reports on a pool that was never
// started, which hears of no changes.
func (p *Pool) Refresh() { p.changed() }
