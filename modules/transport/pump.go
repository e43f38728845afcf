package transport

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// pump sends a request body that is still coming while the answer is already
// waited for: the second goroutine of an exchange, and only then.
type pump struct {
	done chan struct{}
	// Good after done:
	err   *flow.Error // why the exchange cannot go on
	short bool        // the request was not sent to its end
	torn  bool        // a write was told of a reset; see conn.seen

	mu       sync.Mutex
	headSeen bool // the answer is there: its timeout no longer runs
	expects  bool // the server is given expectLimit to speak
	ending   bool // the last of the request is being written
	sent     bool // the request is sent: the answer's timeout runs
	until    int64
}

func (p *pump) answered() {
	p.mu.Lock()
	p.headSeen = true
	p.mu.Unlock()
}

// ends notes that nothing is waited for any more but the last write.
func (p *pump) ends() {
	p.mu.Lock()
	p.ending = true
	p.mu.Unlock()
}

// settled reports whether the pump is done with the whole request. One that is
// about to be is waited for: a server can have answered the last byte before
// the goroutine that wrote it runs again.
func (p *pump) settled() bool {
	p.mu.Lock()
	ending := p.ending
	p.mu.Unlock()
	if ending {
		t := time.NewTimer(lastWrite)
		defer t.Stop()
		select {
		case <-p.done:
		case <-t.C:
		}
	}
	select {
	case <-p.done:
		return !p.short
	default:
		return false
	}
}

// lastWrite bounds the wait for a write whose bytes were already answered.
const lastWrite = 100 * time.Millisecond

func (p *pump) seen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.headSeen
}

// failure gives what ended a pump, nil while it goes on.
func (p *pump) failure() *flow.Error {
	if p != nil {
		select {
		case <-p.done:
			return p.err
		default:
		}
	}
	return nil
}

// sendBody arranges for the body to follow the head. What the client has sent
// already goes with the head in one piece; only what must be waited for is left
// to a pump.
func (c *conn) sendBody(x *flow.Exchange, t *upstream.Timeouts) error {
	c.within(t.FirstByte)
	c.stall = t.Stall
	r := &x.Req
	if !r.HasBody() {
		return nil
	}
	ready, ok := r.Body.(interface{ Ready() bool })
	for ok && !r.Expect && ready.Ready() && len(c.view) == 0 && len(c.out) < gatherLimit {
		if whole, err := c.gather(r); whole || err != nil {
			return err
		}
	}
	// From here on everything is written at once, in order.
	c.sent = true
	c.left = max(r.ContentLength, 0) - int64(len(c.view))
	if err := c.writeAll(c.out); err != nil {
		return c.unheard(err)
	}
	if err := c.writeAll(c.view); err != nil {
		return c.unheard(err)
	}
	for ok && !r.Expect && ready.Ready() {
		if last, err := c.pumpOne(x); last || err != nil {
			_ = c.SetWriteDeadline(time.Time{})
			return c.unheard(err)
		}
	}
	c.within(0)
	if r.Expect {
		c.within(expectLimit)
	}
	p := &pump{done: make(chan struct{}), expects: r.Expect}
	c.pump = p
	go c.runPump(p, x, t)
	return nil
}

// gatherLimit bounds what is put together with a head before it is sent.
const gatherLimit = 16 << 10

// gather puts the next stretch of the body behind the head; whole tells that it
// was the last. A body that turns out to be malformed has then not cost the
// server a look.
func (c *conn) gather(r *flow.Request) (whole bool, err error) {
	v, err := r.Body.Next()
	switch {
	case err != nil && err != io.EOF:
		return false, err
	case r.ContentLength > 0:
		c.view = v
		return int64(len(v)) == r.ContentLength, nil
	case err == io.EOF:
		c.out = wire.AppendLastChunk(c.out, r.Body.Trailer())
		return true, nil
	default:
		c.out = append(append(wire.AppendChunkSize(c.out, len(v)), v...), crlf...)
		return false, nil
	}
}

// runPump sends the rest of the body, then starts the clock for the answer.
func (c *conn) runPump(p *pump, x *flow.Exchange, t *upstream.Timeouts) {
	defer close(p.done)
	for {
		last, err := c.pumpOne(x)
		if err != nil {
			p.short = true
			switch {
			case errors.As(err, &p.err): // the client's body is broken
			case errors.Is(err, os.ErrDeadlineExceeded) && !p.seen():
				p.err = notTaken()
			default:
				p.torn = errors.Is(err, syscall.ECONNRESET)
				return // the server reads no further, but its answer may be there
			}
			_ = c.Close() // wakes whoever waits for the answer
			return
		}
		if last {
			break
		}
	}
	_ = c.SetWriteDeadline(time.Time{})
	p.mu.Lock()
	if p.sent = true; !p.headSeen {
		p.until = flow.Now() + int64(t.FirstByte)
		c.deadlineAfter(t.FirstByte)
	}
	p.mu.Unlock()
}

// unasked reports whether a failed read only met the deadline for a server's
// word on an expectation, and takes that deadline back.
func (p *pump) unasked(c *conn, err error) bool {
	if p == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.expects || p.sent && flow.Now() >= p.until {
		return false
	}
	p.expects = false
	if !p.sent {
		c.deadlineAfter(0)
	}
	return true
}

// deadlineAfter has reads fail after d, 0 never, whoever reads.
func (c *conn) deadlineAfter(d time.Duration) {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	_ = c.SetReadDeadline(at)
}

// pumpOne sends one stretch of the body; last tells that it was the end.
func (c *conn) pumpOne(x *flow.Exchange) (last bool, err error) {
	chunked := x.Req.ContentLength < 0
	v, err := x.Req.Body.Next()
	if err == io.EOF {
		if chunked {
			c.ends(0)
			err = c.writeAll(wire.AppendLastChunk(nil, x.Req.Body.Trailer()))
		} else {
			err = nil
		}
		return true, err
	}
	if err != nil || len(v) == 0 {
		return false, err
	}
	if chunked {
		var size [20]byte
		if err := c.writeAll(wire.AppendChunkSize(size[:0], len(v))); err != nil {
			return false, err
		}
	}
	if !chunked {
		c.ends(len(v))
	}
	if err := c.writeAll(v); err != nil || !chunked {
		return false, err
	}
	return false, c.writeAll(crlf)
}

// ends takes n bytes off what is left of a body with a length, and tells the
// pump when they are the last; 0 bytes are the end of a chunked one.
func (c *conn) ends(n int) {
	if c.left -= int64(n); c.left <= 0 && c.pump != nil {
		c.pump.ends()
	}
}

var crlf = []byte("\r\n")

// unheard takes a server that reads no further for one that may have answered:
// what it said decides. The connection is not used again.
func (c *conn) unheard(err error) error {
	if sock.Reset(err) {
		c.short, c.torn = true, errors.Is(err, syscall.ECONNRESET)
		return nil
	}
	return err
}

// writeAll writes p; progress within the stall timeout counts, not completion.
func (c *conn) writeAll(p []byte) error {
	for len(p) > 0 {
		if c.stall > 0 {
			_ = c.SetWriteDeadline(time.Now().Add(c.stall))
		}
		n, err := c.Write(p[:min(len(p), 64<<10)])
		c.wrote(n)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// stopPump ends a pump that is still going and waits for it; the connection is
// not to be used afterwards.
func (c *conn) stopPump(x *flow.Exchange) *flow.Error {
	p := c.pump
	if p == nil {
		return nil
	}
	select {
	case <-p.done:
	default:
		_ = c.Close()
		_ = x.Req.Body.Close()
		<-p.done
	}
	c.pump = nil
	c.torn = c.torn || p.torn
	return p.err
}
