package handler

import (
	"errors"
	"io"
	"slices"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// collectStep is by how much a collected body's buffer grows.
const collectStep = 16 << 10

// collect waits for as much of the body as the pool's `balance` looks through. The
// body is then sent on whole, and can be sent again as far as it is kept. The wait
// is as long as that for a request's head may be (HAProxy's timeout http-request
// covers both), and a client that waits for leave to send is given it.
func (t *tries) collect(x *flow.Exchange) *flow.Error {
	limit := t.pool.BodyLimit(x)
	if limit == 0 {
		return nil
	}
	b := t.body
	if b == nil {
		b = replays.Get().(*replay)
		b.src, t.body, x.Req.Body = x.Req.Body, b, b
	}
	b.limit = max(b.limit, int64(limit))
	if x.Req.Expect {
		if err := x.Inform(100, nil); err != nil {
			return clientFault(err)
		}
		x.Req.Expect = false
		x.Req.Header.DelID(flow.FieldExpect) // it is met: servers need not be asked
	}
	if err := b.fill(x, limit); err != nil && err != io.EOF {
		return clientFault(err)
	}
	b.at = 0
	t.ask.Body = b.buf
	return nil
}

// fill reads until limit bytes are kept, or the body's end.
func (b *replay) fill(x *flow.Exchange, limit int) error {
	wait := flow.DefaultLimits.Header
	if bound := x.Conn.Bound(); bound != nil && bound.Limits.Header > 0 {
		wait = bound.Limits.Header
	}
	until := flow.Now() + int64(wait)
	stall := x.Stall
	defer func() { x.Stall = stall }()
	for len(b.buf) < limit && b.err == nil {
		left := flow.Time(until).Sub(flow.Time(flow.Now()))
		if left <= 0 {
			return &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Timeout: true, Cause: "request body comes too slowly"}
		}
		if x.Stall = left; stall > 0 {
			x.Stall = min(stall, left)
		}
		n := len(b.buf)
		if n == cap(b.buf) {
			b.buf = slices.Grow(b.buf, min(limit-n, collectStep))
		}
		m, err := b.src.Read(b.buf[n:min(limit, cap(b.buf))])
		b.buf, b.err = b.buf[:n+m], err
	}
	return b.err
}

func clientFault(err error) *flow.Error {
	var fault *flow.Error
	if errors.As(err, &fault) {
		return fault
	}
	return &flow.Error{Side: flow.SideClient, Phase: flow.PhaseData, Cause: "request body broke off", Err: err}
}

// timedUpload is the largest request body with which an answer's time says
// something about the server.
const timedUpload = 64 << 10

// timed tells the pool how long a try took, unless that was the client's doing.
func timed(p *pool.Pool, s *upstream.Server, x *flow.Exchange, ok bool) {
	if n := x.Req.ContentLength; n >= 0 && n <= timedUpload || !ok {
		p.Observe(s, x.Record.Timings.Slot, ok)
	}
}
