package graph

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// Route is one directive of a site or of a `handle`.
type Route struct {
	Node    *config.Node    // what it was made of; for reports
	When    *config.Expr    // what Matcher was made of; the index reads it
	Matcher matcher.Matcher // nil: always
	Handler flow.Handler
	Handle  bool // a `handle`: of these only the first that matches runs
}

// Chain is routes in order. Walking them costs what the routes that could match
// cost, not what all of them do: an index finds those by path and host.
type Chain struct {
	routes []Route
	index  *index // nil: too few routes to be worth it
}

// fewRoutes are walked as fast as looked up.
const fewRoutes = 8

// NewChain makes a chain of routes.
func NewChain(routes []Route) *Chain {
	c := &Chain{routes: routes}
	if len(routes) > fewRoutes {
		c.index = newIndex(routes)
	}
	return c
}

// Handle runs the routes that match, in order, until one answers or fails.
func (c *Chain) Handle(x *flow.Exchange) (bool, error) {
	w := walk{chain: c}
	if c.index == nil {
		return w.all(x, 0)
	}
	var found candidates
	for next := int32(0); ; {
		if !c.index.find(&found, x, next) { // more lists than there is room for
			return w.all(x, int(next))
		}
		revision := x.Req.Revision()
		for {
			i, ok := found.next()
			if !ok {
				return false, nil
			}
			if done, err := w.try(x, i); done || err != nil {
				return done, err
			}
			if x.Req.Revision() != revision { // rewritten: other routes may match now
				next = int32(i) + 1
				break
			}
		}
	}
}

// walk is the state of one exchange in a chain.
type walk struct {
	chain   *Chain
	handled bool // a `handle` has run
}

func (w *walk) all(x *flow.Exchange, from int) (bool, error) {
	for i := from; i < len(w.chain.routes); i++ {
		if done, err := w.try(x, i); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

func (w *walk) try(x *flow.Exchange, i int) (bool, error) {
	r := &w.chain.routes[i]
	if !w.takes(x, r) {
		return false, nil
	}
	return r.Handler.Handle(x)
}

// takes decides whether a route runs.
func (w *walk) takes(x *flow.Exchange, r *Route) bool {
	if r.Handle && w.handled || r.Matcher != nil && !r.Matcher.Match(x) {
		return false
	}
	w.handled = w.handled || r.Handle
	return true
}
