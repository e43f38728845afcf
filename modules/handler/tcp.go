package handler

import (
	"fmt"
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	"github.com/loadstar-lb/loadstar/listener/tunnel"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/transport"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// ProxyTCP is `proxy` in tcp sites.
var ProxyTCP = StreamModule{
	Spec: spec.Word{
		Name: "proxy", In: spec.InTCPSite, Matcher: true, Answers: true, Repeat: true, Args: ProxyArgs(), Options: proxyOptions(), Body: spec.InPool,
		Doc: "Passes the stream to a pool, untouched",
		Long: "A server that cannot be connected to is followed by another as the pool's `retry` allows. The two directions end on their own " +
			"(half-close); the stream ends when both have, or when nothing moved for the site's or else the pool's `timeout tunnel`.",
		Example: "proxy @mail mail_farm",
	},
	New: func(n *config.Node, env *Env) (StreamHandler, error) {
		p := env.Pool(n.Text(0))
		if a := p.Affinity; a != nil && a.NeedsHTTP() != "" {
			return nil, diag.Diagnostic{
				Range: n.Range, Rule: "cookie-persistence-in-tcp",
				Message: fmt.Sprintf("pool %s keeps its clients by %s, which is of HTTP requests; this site is tcp", p.Name, a.NeedsHTTP()),
				Help:    []string{"write `persist source`, or another pool for this site"},
				Labels:  []diag.Label{{Range: p.Persist, Message: "said here"}},
			}
		}
		if p.Needs() == balancer.NeedsRequest {
			return nil, diag.Diagnostic{
				Range: n.Range, Rule: "http-in-tcp-site",
				Message: fmt.Sprintf("pool %s balances by what stands in HTTP requests; this site is tcp", p.Name),
				Help:    []string{"write `balance source`, or `balance hash` with placeholders of connections"},
				Labels:  []diag.Label{{Range: p.Balance, Message: "said here"}},
			}
		}
		return &StreamProxy{Pool: p, Idle: env.StreamIdle, Priority: int(n.OptionInt("priority"))}, nil
	},
}

// StreamProxy passes streams to a pool.
type StreamProxy struct {
	Pool     *pool.Pool
	Idle     time.Duration // without traffic; 0: the server's tunnel timeout
	Priority int           // in the pool's queue
}

// HandleConn connects to a server and relays until both sides have ended. It
// always takes the stream; what went wrong is in the record.
func (h *StreamProxy) HandleConn(c *flow.Conn, r *flow.Record) bool {
	r.Pool, r.Tally, r.Fresh = h.Pool.Name, h.Pool, true
	client, ok := c.Conn.(flow.Stream)
	if !ok { // a socket and TLS over one are streams both
		r.Terminate('P', byte(flow.PhaseConnect))
		return true
	}
	s, server, fault := h.connect(c, r)
	if fault != nil {
		if next := h.Pool.Successor(fault); next != nil {
			return (&StreamProxy{Pool: next, Idle: h.Idle, Priority: h.Priority}).HandleConn(c, r)
		}
		r.Terminate(fault.Flags())
		r.Err = fault
		return true
	}
	idle := h.Idle
	if idle == 0 {
		idle = s.Timeouts.Tunnel
	}
	flight := upstream.NewFlight()
	flight.EnterStream(s, c, r)
	flight.Carry(server)
	defer flight.Leave()
	defer h.release(s, r) // a panic must not keep the slot
	defer server.Close()
	res := tunnel.Run(client, server.(flow.Stream), tunnel.Options{Idle: idle})
	r.BytesIn += res.Up
	r.BytesOut += res.Down
	if res.Cause != '-' {
		r.Terminate(res.Cause, res.Phase)
		r.Err = res.Err
	}
	return true
}

// connect chooses servers until a connection stands or the tries are used up. On
// success a slot of the server is held.
func (h *StreamProxy) connect(c *flow.Conn, r *flow.Record) (*upstream.Server, net.Conn, *flow.Error) {
	ask := balancer.Ask{Client: c.Client.Addr(), Leaver: streamLeaver{c}, Priority: h.Priority}
	v := h.visit(c, &ask)
	if h.Pool.Needs() == balancer.NeedsExchange {
		ask.Exchange = new(flow.Exchange)
		ask.Exchange.Begin(c, nil)
	}
	var last *upstream.Server
	for {
		s, fault := h.Pool.Acquire(&ask, r)
		if fault != nil {
			return nil, nil, fault
		}
		if last != nil && last != s {
			r.Redispatched = true
			last.Live.Redispatches.Add(1)
		}
		r.Server, r.ServerAddr, r.Tally = s.Name, s.Dial, s
		last = s
		conn, fault := transport.DialStream(s, c)
		if fault == nil {
			r.Timings.Connected = flow.Now()
			h.Pool.Report(s, pool.Connected)
			h.Pool.Observe(s, r.Timings.Slot, true)
			if v != nil {
				h.Pool.Affinity.Bind(nil, v, s)
			}
			return s, conn, nil
		}
		h.Pool.Report(s, pool.ConnectFailed)
		h.Pool.Observe(s, r.Timings.Slot, false)
		h.release(s, r)
		if r.Retries >= h.Pool.Retry.Max || !h.Pool.Retry.Allows(fault, "", false) || !h.Pool.MayRetry() {
			return nil, nil, fault
		}
		r.Retries++
		s.Live.Retries.Add(1)
		if turn(h.Pool, s, &ask) {
			time.Sleep(pauseFor(s))
		}
	}
}

// visit asks persistence, if the pool has any. What it is shown of the stream
// are its connection and its client.
func (h *StreamProxy) visit(c *flow.Conn, ask *balancer.Ask) *persistence.Visit {
	if h.Pool.Affinity == nil {
		return nil
	}
	v := new(persistence.Visit)
	x := &flow.Exchange{}
	x.Begin(c, nil)
	ask.Forced = h.Pool.Affinity.Find(x, v)
	return v
}

// streamLeaver tells whether a stream's client has left. One that has sent
// something and ended its half may still wait for what comes back.
type streamLeaver struct{ *flow.Conn }

// Left asks the socket.
func (l streamLeaver) Left() bool {
	raw := sock.Raw(socketOf(l.Conn))
	return raw != nil && sock.Left(raw, true)
}

// release gives the slot back; the record counts the stream itself in.
func (h *StreamProxy) release(s *upstream.Server, r *flow.Record) {
	r.ServerConn, r.PoolConn = s.Live.Active(), h.Pool.Live().Active()
	h.Pool.Release(s)
}
