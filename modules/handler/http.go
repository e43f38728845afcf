package handler

import (
	"io"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/transport"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Proxy passes exchanges to a pool.
type Proxy struct {
	Pool      *pool.Pool
	Transport transport.Transport
	Forwarded *Forwarded // nil: forwardfor off
}

// tries is the state of one exchange's passage, reused from one to the next.
type tries struct {
	ask    balancer.Ask
	pool   *pool.Pool
	server *upstream.Server
	begun  bool // a server may have begun to see the request once already
}

var triesPool = sync.Pool{New: func() any { return new(tries) }}

// Handle chooses a server, sends the request, tries again where that is safe,
// and relays the answer.
func (h *Proxy) Handle(x *flow.Exchange) (bool, error) {
	r := &x.Record
	r.Pool = h.Pool.Name
	if h.Forwarded != nil {
		h.Forwarded.Apply(x)
	}
	t := triesPool.Get().(*tries)
	defer triesPool.Put(t)
	*t = tries{pool: h.Pool, ask: balancer.Ask{Client: x.Client, Exchange: x}}
	if a := h.Pool.Affinity; a != nil {
		t.ask.Forced = a.Find(x)
	}
	for {
		s, fault := h.Pool.Acquire(&t.ask, r)
		if fault != nil {
			return false, fault
		}
		t.took(s, r)
		fault = h.Transport.RoundTrip(x, s)
		if fault == nil {
			h.Pool.Answered(s, x.Resp.Status)
			h.relay(x, t)
			return true, nil
		}
		if fault.Side != flow.SideClient {
			h.Pool.Report(s, outcome(fault))
		}
		h.release(x, s)
		if !t.again(x, fault) {
			return false, fault
		}
	}
}

// took notes the server of this try.
func (t *tries) took(s *upstream.Server, r *flow.Record) {
	r.Redispatched = r.Redispatched || t.server != nil && t.server != s
	t.server = s
	r.Server, r.ServerAddr = s.Name, s.Dial
}

func outcome(fault *flow.Error) pool.Outcome {
	if fault.Phase == flow.PhaseConnect {
		return pool.ConnectFailed
	}
	return pool.AnswerFailed
}

// again decides whether a try that failed is followed by another, and where.
// What no server can have begun to see is tried as often as the pool allows; a
// safe request that a server may have seen is tried once more, elsewhere; a
// timeout is not tried again, for the client has waited long enough.
func (t *tries) again(x *flow.Exchange, fault *flow.Error) bool {
	retry := t.pool.Retry
	r := &x.Record
	switch {
	case fault.Side != flow.SideServer, r.Retries >= retry.Max:
		return false
	case fault.Begun && (t.begun || fault.Timeout || fault.Status != 0 || !transport.Repeatable(x.Req.Method)):
		return false
	case !transport.Rewind(x):
		return false
	}
	t.begun = t.begun || fault.Begun
	r.Retries++
	t.server.Live.Retries.Add(1)
	if retry.Redispatch {
		t.ask.Tried, t.ask.Forced = t.server, nil
		if t.alone() {
			t.pause()
		}
	} else {
		t.pause()
	}
	return true
}

// alone reports whether there is no other server to go to.
func (t *tries) alone() bool {
	active, backup := t.pool.Usable()
	return active+backup <= 1 && t.server.Usable()
}

// pause waits before the same server is tried again (HAProxy manual,
// "retries": one second, or the connect timeout if that is shorter).
func (t *tries) pause() {
	d := time.Second
	if c := t.server.Timeouts.Connect; c > 0 {
		d = min(d, c)
	}
	time.Sleep(d)
}

// OnResponse binds the client to the server whose answer leaves.
func (t *tries) OnResponse(x *flow.Exchange) {
	t.pool.Affinity.Bind(x, t.server)
}

// relay passes the answer on and lets go of connection and slot. From here on
// errors no longer have an answer: they cut it.
func (h *Proxy) relay(x *flow.Exchange, t *tries) {
	s, body := t.server, x.Resp.Body
	if h.Pool.Affinity != nil {
		x.AddHook(t)
	}
	fault := x.Start()
	if fault == nil {
		if up, ok := body.(upgrader); ok && upgraded(x) {
			h.tunnel(x, s, up)
			return
		}
		fault = copyBody(x, body)
	}
	x.Record.Timings.End = flow.Now()
	if fault != nil {
		h.cut(x, fault)
	}
	_ = body.Close()
	h.release(x, s)
}

// release gives the slot back. What the log says of concurrency counts the
// exchange itself in, as HAProxy's does.
func (h *Proxy) release(x *flow.Exchange, s *upstream.Server) {
	x.Record.ServerConn, x.Record.PoolConn = s.Live.Active(), h.Pool.Live().Active()
	h.Pool.Release(s)
}

// copyBody relays the body to its end, with its trailer, and finishes. What is
// kept back leaves before the server must be waited for.
func copyBody(x *flow.Exchange, body flow.Body) error {
	ready, _ := body.(interface{ Ready() bool })
	for {
		if ready == nil || !ready.Ready() {
			if err := x.Flush(); err != nil {
				return err
			}
			if err := splice(x, body); err != nil {
				return err
			}
		}
		p, err := body.Next()
		if len(p) > 0 {
			if _, err := x.Write(p); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if t := body.Trailer(); t != nil {
		x.Resp.Trailer.CopyFrom(t)
	}
	return x.Finish()
}

// cut notes who broke the answer off, and cuts it.
func (h *Proxy) cut(x *flow.Exchange, fault error) {
	cause, phase := byte('C'), byte(flow.PhaseData)
	if e, ok := fault.(*flow.Error); ok {
		cause, phase = e.Flags()
	}
	x.Record.Terminate(cause, phase)
	x.Record.Err = fault
	x.Abort(fault)
}
