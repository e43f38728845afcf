package handler

import (
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/transport"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// again decides whether a try that failed is followed by another.
func (t *tries) again(x *flow.Exchange, fault *flow.Error) bool {
	if x.Record.Retries >= t.pool.Retry.Max || !t.pool.Retry.Allows(fault, x.Req.Method, t.begun) ||
		!transport.Rewind(x) || !t.pool.MayRetry() {
		return false
	}
	t.begun = t.begun || fault.Begun
	return true
}

// rejects decides whether an answer is dropped, for its status, and the request
// sent again. The last try's answer is passed on whatever it is.
func (t *tries) rejects(x *flow.Exchange) bool {
	retry := &t.pool.Retry
	if !retry.Status(x.Resp.Status) || x.Record.Retries >= retry.Max || !retry.Method(x.Req.Method) ||
		!transport.Rewind(x) || !t.pool.MayRetry() {
		return false
	}
	t.begun = true
	return true
}

// discard drops an answer. Its connection can be used again if all of the answer
// is there already.
func discard(x *flow.Exchange) {
	r := &x.Resp
	b := r.Body
	ready, ok := b.(interface{ Ready() bool })
	for ok && ready.Ready() {
		if _, err := b.Next(); err != nil {
			break
		}
	}
	_ = b.Close()
	r.Header.Reset(nil)
	r.Trailer.Reset(nil)
	r.Status, r.Reason, r.ContentLength, r.Body, r.Upgrade = 0, nil, -1, nil, nil
	x.Record.Timings.Answer = 0
}

// errLeft is what becomes of an exchange whose client left before the next try.
var errLeft = &flow.Error{Side: flow.SideClient, Phase: flow.PhaseConnect, Status: 503, Cause: "client left before an answer"}

// next readies another try: elsewhere at once, or at the same server after a
// pause.
func (t *tries) next(x *flow.Exchange) *flow.Error {
	x.Record.Retries++
	t.server.Live.Retries.Add(1)
	if !turn(t.pool, t.server, &t.ask) {
		return nil
	}
	time.Sleep(pauseFor(t.server))
	if t.Left() {
		return errLeft
	}
	return nil
}

// turn has the next try go elsewhere, or to the same server if the pool wants
// that or has no other; it then tells to pause.
func turn(p *pool.Pool, s *upstream.Server, ask *balancer.Ask) (pause bool) {
	if !p.Retry.Redispatch {
		ask.Forced = s
		return true
	}
	ask.Tried, ask.Forced = s, nil
	active, backup := p.Usable()
	return active+backup <= 1 && s.Usable()
}

// pauseFor is how long is waited before the same server is tried again (HAProxy
// manual, "retries": one second, or the connect timeout if that is shorter).
func pauseFor(s *upstream.Server) time.Duration {
	d := time.Second
	if c := s.Timeouts.Connect; c > 0 {
		d = min(d, c)
	}
	return d
}

// Left reports whether the client has left, for who waits on its behalf. A codec
// that knows better than the socket says so itself.
func (t *tries) Left() bool {
	x := t.ask.Exchange
	if l, ok := x.Responder().(balancer.Leaver); ok {
		return l.Left()
	}
	if t.raw == nil && x.Conn != nil {
		t.raw = sock.Raw(socketOf(x.Conn))
	}
	return t.raw != nil && sock.Left(t.raw, false)
}

// socketOf gives the socket beneath a client's connection.
func socketOf(c *flow.Conn) net.Conn {
	if c.Socket != nil {
		return c.Socket
	}
	nc := c.Conn
	for {
		over, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = over.NetConn()
	}
}
