package graph

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
	"github.com/loadstar-lb/loadstar/modules/certs"
	"github.com/loadstar-lb/loadstar/modules/handler"
	"github.com/loadstar-lb/loadstar/modules/matcher"
	"github.com/loadstar-lb/loadstar/modules/trace"
)

// Site is one HTTP site.
type Site struct {
	Name      string
	routes    *Chain
	errors    *handler.ErrorPages
	forwarded *handler.Forwarded
	log       *logging.SiteLog
	logWhen   []matcher.Matcher // of each log.When
	gate      *Gate
	queue     time.Duration // for the gate
	stall     time.Duration
	tunnel    time.Duration
	total     func() int64
	tls       *certs.Policy // nil: in clear only
	tracer    *trace.Tracer // nil: nothing is traced
}

// errTurn is what an exchange gets whose turn did not come in time.
var errTurn = &flow.Error{Side: flow.SideServer, Phase: flow.PhaseQueue, Timeout: true, Status: 503, Cause: "site is full"}

// serve runs the routes and answers what they leave unanswered.
func (s *Site) serve(x *flow.Exchange) {
	x.Site = s
	r := &x.Record
	r.Site = s.Name
	x.Stall, x.Tunnel = s.stall, s.tunnel
	ahead, ok := s.gate.Enter(s.queue)
	r.PoolQueue = ahead
	if !ok {
		x.OnEnd(logOnly{s})
		s.errors.Respond(x, errTurn)
		return
	}
	x.OnEnd(s)
	if x.Fault != nil {
		s.errors.Respond(x, x.Fault)
		return
	}
	if s.tracer != nil {
		s.tracer.Begin(x)
	}
	x.Capture(s.log.Captures)
	s.forwarded.Identify(x)
	for i, m := range s.logWhen {
		if m.Match(x) {
			r.Matched |= 1 << i
		}
	}
	done, err := s.routes.Handle(x)
	s.conclude(x, done, err)
}

// conclude answers what the routes have left unanswered.
func (s *Site) conclude(x *flow.Exchange, done bool, err error) {
	switch {
	case err != nil:
		s.errors.Fail(x, err)
	case !done:
		s.errors.Respond(x, handler.ErrNoRoute)
	}
}

// EndExchange logs the exchange, and lets the next one in, whatever a logger does.
func (s *Site) EndExchange(x *flow.Exchange) {
	defer s.gate.Leave()
	s.note(x)
}

func (s *Site) note(x *flow.Exchange) {
	r := &x.Record
	if r.Timings.End == 0 {
		r.Timings.End = flow.Now()
	}
	r.SiteConn = s.gate.Inside()
	if r.ActConn = r.SiteConn; s.total != nil {
		r.ActConn = s.total()
	}
	s.gate.count(r)
	if r.Trace != nil {
		s.tracer.End(r)
	}
	s.log.Log(r)
}

// logOnly ends an exchange that never got in.
type logOnly struct{ s *Site }

func (l logOnly) EndExchange(x *flow.Exchange) { l.s.note(x) }

// site builds one site and puts it on its listeners.
func (b *builder) site(cfg *config.Site) {
	policy, handshake := b.secure(cfg)
	if b.errs.HasErrors() {
		return
	}
	if policy == nil { // nothing to terminate, or `tls off`
		open := *cfg
		open.Addresses = inClear(cfg.Addresses)
		cfg = &open
	}
	times := b.clients
	times.handshake = max(times.handshake, handshake)
	times.read(cfg.Body)
	log, errs := b.logs.Site(cfg.Body, cfg.TCP)
	b.errs = append(b.errs, errs...)
	gate := b.gate(cfg)
	if cfg.TCP {
		b.streamSite(cfg, streamParts{times: times, log: log, gate: gate, policy: policy})
		return
	}
	s := &Site{
		Name: cfg.Name, errors: b.pages.Clone(), forwarded: &handler.Forwarded{},
		log: log, gate: gate, queue: times.queue, stall: times.stall, tunnel: times.tunnel, total: b.Connections, tls: policy,
		tracer: b.tracer(cfg),
	}
	var ok bool
	if s.logWhen, ok = b.exchanges().whens(b, log.When); !ok {
		return
	}
	env := &handler.Env{
		Site: cfg, Log: b.Log, Pool: b.pool, Transport: b.transport,
		Errors: s.errors, Forwarded: s.forwarded, Control: b.Control, Census: b.Census,
		Stopping: b.Stopping,
	}
	env.Match = func(when *config.Expr) (matcher.Matcher, error) { return matcher.Compile(when, b.matchers) }
	env.Chain = func(body []config.Node) (flow.Handler, error) { return b.chain(body, env), nil }
	s.routes = b.chain(cfg.Body, env)
	b.listenHTTP(cfg, s, times.limits())
}

// chain builds the routes of a block.
func (b *builder) chain(body []config.Node, env *handler.Env) *Chain {
	var routes []Route
	b.exchanges().routes(b, env, body, func(n *config.Node, when matcher.Matcher, h flow.Handler) {
		if h != nil {
			routes = append(routes, Route{Node: n, When: n.When, Matcher: when, Handler: h, Handle: n.Word == "handle"})
		}
	})
	return NewChain(routes)
}

// gate lends the site's gate and sets its limit once the graph is in force.
func (b *builder) gate(cfg *config.Site) *Gate {
	g, err := b.Shared.Sites.Get(b.Tx, cfg.Name, func() (*Gate, error) { return newGate(), nil })
	if err != nil {
		g = &Gate{}
	}
	limit := 0
	if n := config.Last(cfg.Body, "maxconn"); n != nil {
		limit = int(n.Int(0))
	}
	b.graph.gates = append(b.graph.gates, limited{g, limit, cfg})
	return g
}

// limited is a gate with the limit it gets when the graph starts.
type limited struct {
	gate  *Gate
	limit int
	cfg   *config.Site
}
