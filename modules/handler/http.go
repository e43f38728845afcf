package handler

import (
	"io"
	"sync"
	"syscall"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/transport"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Proxy passes exchanges to a pool.
type Proxy struct {
	Pool      *pool.Pool
	Transport transport.Transport
	Forwarded *Forwarded // nil: forwardfor off
	Priority  int        // in the pool's queue
}

// tries is the state of one exchange's passage, reused from one to the next.
type tries struct {
	ask    balancer.Ask
	pool   *pool.Pool
	server *upstream.Server // of the last try
	held   *upstream.Server // whose slot is to be given back; nil: none
	begun  bool             // a server may have begun to see the request once already
	visit  persistence.Visit
	raw    syscall.RawConn // of the client, once it was asked for
	body   *replay         // nil: the body is not kept
	flight *upstream.Flight
}

var triesPool = sync.Pool{New: func() any { return &tries{flight: upstream.NewFlight()} }}

// Handle chooses a server, sends the request, tries again where that is safe,
// and relays the answer.
func (h *Proxy) Handle(x *flow.Exchange) (bool, error) {
	r := &x.Record
	r.Pool, r.Tally = h.Pool.Name, h.Pool
	if h.Forwarded != nil {
		h.Forwarded.Apply(x)
	}
	t := h.begin(x)
	defer t.end(x)
	if fault := t.collect(x); fault != nil {
		return false, fault
	}
	for {
		s, fault := h.Pool.Acquire(&t.ask, r)
		if fault != nil {
			if next := h.Pool.Successor(fault); next != nil && next.Transport != nil {
				h = h.follow(x, t, next)
				continue
			}
			return false, fault
		}
		t.took(s, r)
		fault = h.Transport.RoundTrip(x, s)
		if fault == nil {
			h.Pool.Answered(s, x.Resp.Status)
			timed(h.Pool, s, x, x.Resp.Status < 500)
			if !t.rejects(x) {
				h.relay(x, t)
				return true, nil
			}
			if tr := r.Trace; tr != nil {
				tr.Failed(x, nil)
			}
			discard(x)
			h.release(x, t)
		} else {
			ended := t.flight.Ended()
			if fault.Side != flow.SideClient && ended == upstream.NotEnded {
				h.Pool.Report(s, outcome(fault))
				timed(h.Pool, s, x, false)
			}
			if tr := r.Trace; tr != nil {
				tr.Failed(x, fault)
			}
			h.release(x, t)
			switch {
			case ended == upstream.WithClient:
				return false, errLeft
			case !t.again(x, fault):
				return false, fault
			}
		}
		if fault := t.next(x); fault != nil {
			return false, fault
		}
	}
}

// begin readies the passage of an exchange.
func (h *Proxy) begin(x *flow.Exchange) *tries {
	t := triesPool.Get().(*tries)
	t.ask = balancer.Ask{Client: x.Client, Exchange: x, Leaver: t, Priority: h.Priority}
	t.pool, t.server, t.held, t.begun, t.raw, t.body = h.Pool, nil, nil, false, nil, nil
	t.find(x)
	t.keepBody(x)
	x.Flight = t.flight
	return t
}

// follow goes on with the pool of a newer generation. Its policy must not be told of a
// server that is not its own.
func (h *Proxy) follow(x *flow.Exchange, t *tries, p *pool.Pool) *Proxy {
	t.pool, x.Record.Tally = p, p
	if s := t.ask.Tried; s != nil {
		t.ask.Tried = p.Find(s.Live)
	}
	t.find(x)
	return &Proxy{Pool: p, Transport: p.Transport, Forwarded: h.Forwarded, Priority: h.Priority}
}

// find asks persistence for the client's server.
func (t *tries) find(x *flow.Exchange) {
	t.ask.Forced = nil
	if a := t.pool.Affinity; a != nil {
		t.visit.Reset()
		t.ask.Forced = a.Find(x, &t.visit)
	}
}

// end gives back what the passage had. A slot that is still held then is a
// panic's doing: it goes back, but nothing else does, for whatever the panic left
// behind may still use it.
func (t *tries) end(x *flow.Exchange) {
	if s := t.held; s != nil {
		t.held = nil
		t.flight.Leave()
		t.pool.Release(s)
		return
	}
	if b := t.body; b != nil {
		x.Req.Body = b.src
		b.release()
	}
	t.ask, t.body, t.raw, x.Flight = balancer.Ask{}, nil, nil, nil
	triesPool.Put(t)
}

// took notes the server of this try.
func (t *tries) took(s *upstream.Server, r *flow.Record) {
	if t.server != nil && t.server != s {
		r.Redispatched = true
		t.server.Live.Redispatches.Add(1)
		t.visit.Moved(r)
	} else if f := t.ask.Forced; f != nil && f != s {
		t.visit.Moved(r) // its queue was full
	}
	t.server, t.held = s, s
	if tr := r.Trace; tr != nil {
		tr.Begin(t.ask.Exchange, s.Name, s.Dial)
	}
	t.flight.Enter(s, t.ask.Exchange)
	r.Server, r.ServerAddr, r.Tally = s.Name, s.Dial, s
}

func outcome(fault *flow.Error) pool.Outcome {
	if fault.Phase == flow.PhaseConnect {
		return pool.ConnectFailed
	}
	return pool.AnswerFailed
}

// OnResponse binds the client to the server whose answer leaves.
func (t *tries) OnResponse(x *flow.Exchange) {
	t.pool.Affinity.Bind(x, &t.visit, t.server)
}

// relay passes the answer on and lets go of connection and slot. From here on
// errors no longer have an answer: they cut it.
func (h *Proxy) relay(x *flow.Exchange, t *tries) {
	body := x.Resp.Body
	if h.Pool.Affinity != nil {
		x.AddHook(t)
	}
	fault := x.Start()
	if fault == nil {
		if up, ok := body.(upgrader); ok && upgraded(x) {
			h.tunnel(x, t, up)
			return
		}
		fault = copyBody(x, body)
	}
	x.Record.Timings.End = flow.Now()
	if fault != nil {
		h.cut(x, fault)
	}
	_ = body.Close()
	h.release(x, t)
}

// release gives the slot back. What the log says of concurrency counts the
// exchange itself in, as HAProxy's does.
func (h *Proxy) release(x *flow.Exchange, t *tries) {
	s := t.held
	t.held = nil
	t.flight.Leave()
	h.leave(x, s)
}

func (h *Proxy) leave(x *flow.Exchange, s *upstream.Server) {
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
