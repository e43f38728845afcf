package graph

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
	"github.com/loadstar-lb/loadstar/modules/certs"
	"github.com/loadstar-lb/loadstar/modules/handler"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// StreamSite is one tcp site: it serves whole connections.
type StreamSite struct {
	Name      string
	routes    []StreamRoute
	looks     bool // a route asks for the ClientHello
	log       *logging.SiteLog
	logWhen   []matcher.ConnMatcher // of each log.When
	gate      *Gate
	queue     time.Duration
	handshake time.Duration
	idle      time.Duration
	total     func() int64
}

// StreamRoute is one directive of a tcp site.
type StreamRoute struct {
	Node    *config.Node        // what it was made of; for reports
	Matcher matcher.ConnMatcher // nil: always
	Handler handler.StreamHandler
}

// takes decides whether the route runs.
func (r *StreamRoute) takes(c *flow.Conn) bool {
	return r.Matcher == nil || r.Matcher.MatchConn(c) == matcher.Yes
}

// streamParts is what HTTP and tcp sites have in common.
type streamParts struct {
	times  clientSide
	log    *logging.SiteLog
	gate   *Gate
	policy *certs.Policy // nil: TLS is not terminated here
}

// ServeConn routes one stream and logs it when it has ended. What no route
// takes is closed.
func (s *StreamSite) ServeConn(c *flow.Conn) {
	r := &flow.Record{
		Start: c.Accepted, Client: c.Client, Local: c.Local, Site: s.Name,
		Stream: true, TLS: c.TLS != nil, ConnID: c.ID, Conn: c,
	}
	r.Timings.Accept = flow.At(c.Accepted)
	r.Timings.FirstByte = r.Timings.Accept
	r.Timings.Head = r.Timings.Accept
	if !c.Busy() {
		return
	}
	c.Pin()
	defer c.Unpin()
	ahead, ok := s.gate.Enter(s.queue)
	r.PoolQueue = ahead
	if ok {
		defer s.gate.Leave()
		s.route(c, r)
	} else {
		r.Terminate(errTurn.Flags())
		r.Err = errTurn
	}
	r.Timings.End = flow.Now()
	r.SiteConn = s.gate.Inside()
	if r.ActConn = r.SiteConn; s.total != nil {
		r.ActConn = s.total()
	}
	for i, m := range s.logWhen {
		if m.MatchConn(c) == matcher.Yes {
			r.Matched |= 1 << i
		}
	}
	s.gate.count(r)
	s.log.Log(r)
}

func (s *StreamSite) route(c *flow.Conn, r *flow.Record) {
	if s.looks && c.TLS == nil {
		if err := listener.PeekHello(c, s.handshake); err != nil {
			r.Err = err // the routes decide without a name; a broken stream shows soon enough
		}
		if c.Hello == nil {
			c.Hello = &flow.Hello{} // looked, and nothing was named
		}
	}
	for i := range s.routes {
		rt := &s.routes[i]
		if !rt.takes(c) {
			continue
		}
		if rt.Handler.HandleConn(c, r) {
			return
		}
	}
	r.Terminate('P', byte(flow.PhaseRequest)) // no route: closed by rule
}

// streamSite builds a tcp site.
func (b *builder) streamSite(cfg *config.Site, parts streamParts) {
	s := &StreamSite{
		Name: cfg.Name, log: parts.log, gate: parts.gate, total: b.Connections,
		queue: parts.times.queue, handshake: parts.times.handshake, idle: parts.times.tunnel,
	}
	kind := b.streams()
	var ok bool
	if s.logWhen, ok = kind.whens(b, parts.log.When); !ok {
		return
	}
	for _, n := range parts.log.When {
		s.looks = s.looks || looksAtHello(n.When)
	}
	env := &handler.Env{Site: cfg, Log: b.Log, Pool: b.pool, Transport: b.transport, StreamIdle: s.idle, Census: b.Census}
	kind.routes(b, env, cfg.Body, func(n *config.Node, when matcher.ConnMatcher, h handler.StreamHandler) {
		s.looks = s.looks || looksAtHello(n.When)
		s.routes = append(s.routes, StreamRoute{n, when, h})
	})
	for i := range cfg.Addresses {
		a := &cfg.Addresses[i]
		for _, l := range b.listeners(cfg, a, parts.times.limits()) {
			if !b.sameKind(l, a) {
				continue
			}
			if a.TLS {
				b.listenTLS(l, a, parts.policy, s)
				continue
			}
			if l.first != nil || l.Stream != nil {
				b.errs.Add(a.Range, "port-conflict", "%s is taken by another site", l.Address)
				continue
			}
			l.Stream = s
		}
	}
}

// looksAtHello reports whether an expression needs the ClientHello.
func looksAtHello(e *config.Expr) bool {
	if e == nil {
		return false
	}
	if e.Op == config.Test {
		return e.Word == "sni" || e.Word == "alpn"
	}
	for i := range e.Kids {
		if looksAtHello(&e.Kids[i]) {
			return true
		}
	}
	return false
}
