package handler

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// replay is a request's body that keeps what was read of it, up to a limit, so
// that the request can be sent again. It does not wait for the body: the first
// try goes on as it would without.
//
// Like any body it is read by one goroutine at a time, and may be closed by
// another.
type replay struct {
	src    flow.Body
	limit  int64
	buf    []byte // what src gave so far
	at     int    // of buf, given
	lost   bool   // more was given than is kept
	err    error  // what src ended with
	closed atomic.Bool
}

// keptReplay is the size up to which a buffer is kept for other exchanges.
const keptReplay = 64 << 10

var replays = sync.Pool{New: func() any { return new(replay) }}

// keepBody has the body kept, if the pool wants it and the request may be sent
// again once a server has begun to see it.
func (t *tries) keepBody(x *flow.Exchange) {
	r := &t.pool.Retry
	if r.Buffer == 0 || r.Max == 0 || !x.Req.HasBody() || !r.Method(x.Req.Method) {
		return
	}
	b := replays.Get().(*replay)
	b.src, b.limit = x.Req.Body, r.Buffer
	t.body, x.Req.Body = b, b
}

func (b *replay) release() {
	if cap(b.buf) > keptReplay {
		b.buf = nil
	}
	b.src, b.buf, b.at, b.lost, b.err = nil, b.buf[:0], 0, false, nil
	b.closed.Store(false)
	replays.Put(b)
}

// Next gives what is kept, and then what comes.
func (b *replay) Next() ([]byte, error) {
	if b.at < len(b.buf) {
		p := b.buf[b.at:]
		b.at = len(b.buf)
		return p, nil
	}
	if b.err != nil {
		return nil, b.err
	}
	p, err := b.src.Next()
	b.keep(p, err)
	return p, err
}

// Read copies.
func (b *replay) Read(p []byte) (int, error) {
	if b.at < len(b.buf) {
		n := copy(p, b.buf[b.at:])
		b.at += n
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.keep(p[:n], err)
	return n, err
}

func (b *replay) keep(p []byte, err error) {
	b.err = err
	if b.lost = b.lost || int64(len(b.buf)+len(p)) > b.limit; b.lost {
		b.at = len(b.buf)
		return
	}
	b.buf = append(b.buf, p...)
	b.at = len(b.buf)
}

// Ready reports whether Next can answer without waiting for the client.
func (b *replay) Ready() bool {
	if b.at < len(b.buf) || b.err != nil {
		return true
	}
	src, ok := b.src.(interface{ Ready() bool })
	return ok && src.Ready()
}

// Rewind starts the body over; false if something of it is no longer there, or
// will not come any more.
func (b *replay) Rewind() bool {
	if b.lost || b.err != nil && b.err != io.EOF || b.err == nil && b.closed.Load() {
		return false
	}
	b.at = 0
	return true
}

// Trailer gives the trailer fields after io.EOF.
func (b *replay) Trailer() *flow.Header { return b.src.Trailer() }

// Close tells that the rest is not wanted, and wakes a reader.
func (b *replay) Close() error {
	b.closed.Store(true)
	return b.src.Close()
}
