package graph

import (
	"iter"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/handler"
)

// What reports ask of a graph: the same decisions as those of traffic, one at a
// time, without its gates, its logs and its servers.

// Step is called with each route in turn; taken says whether it runs. It stands
// in for the route's handler and gives what that would have given.
type Step func(r *Route, taken bool) (done bool, err error)

// Walk goes through the routes as Handle does, but for the index: those that do
// not match are shown, too.
func (c *Chain) Walk(x *flow.Exchange, step Step) (bool, error) {
	w := walk{chain: c}
	for i := range c.routes {
		r := &c.routes[i]
		if done, err := step(r, w.takes(x, r)); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// Site finds the site that answers an exchange, as ServeExchange does.
func (l *Listener) Site(x *flow.Exchange) *Site { return l.site(x) }

// Web reports whether the socket serves exchanges.
func (l *Listener) Web() bool { return l.first != nil }

// Secure reports whether TLS is terminated at the socket.
func (l *Listener) Secure() bool { return l.front != nil }

// StreamSite finds the site of a stream that ServeExchange does not get, nil if
// there is none.
func (l *Listener) StreamSite(c *flow.Conn) *StreamSite {
	if l.front != nil && l.front.streamed {
		return l.front.stream(c)
	}
	return l.Stream
}

// Walk sends an exchange through the site, with step in place of the handlers,
// and answers what is left unanswered.
func (s *Site) Walk(x *flow.Exchange, step Step) {
	x.Site = s
	x.Record.Site = s.Name
	if x.Fault != nil {
		s.errors.Respond(x, x.Fault)
		return
	}
	s.forwarded.Identify(x)
	done, err := s.routes.Walk(x, step)
	s.conclude(x, done, err)
}

// Forwarded gives what the site tells servers of its clients.
func (s *Site) Forwarded() *handler.Forwarded { return s.forwarded }

// Walk shows a stream to the site's routes, until step takes it.
func (s *StreamSite) Walk(c *flow.Conn, step func(r *StreamRoute, taken bool) (done bool)) (done bool) {
	for i := range s.routes {
		if step(&s.routes[i], s.routes[i].takes(c)) {
			return true
		}
	}
	return false
}

// Sites gives the names of the sites that are served at the socket, each once.
func (l *Listener) Sites() map[string]bool {
	out := map[string]bool{}
	for s := range l.hosts.all() {
		out[s.Name] = true
	}
	if l.front != nil {
		for s := range l.front.streams.all() {
			out[s.Name] = true
		}
	}
	if l.Stream != nil {
		out[l.Stream.Name] = true
	}
	return out
}

// all gives every entry, in no order; one that has several hosts comes as often.
func (h *Hosts[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, m := range []map[string]*T{h.exact, h.wild} {
			for _, v := range m {
				if !yield(v) {
					return
				}
			}
		}
		if h.fallback != nil {
			yield(h.fallback)
		}
	}
}
