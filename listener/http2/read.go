package http2

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

var readBuffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// advance takes in the frames that are there, then has the heads among them
// served: what came together is known together.
func (c *conn) advance() {
	for !c.ended && c.next() {
	}
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	c.dispatch()
	c.mu.Lock()
	c.kick()
	c.mu.Unlock()
}

// next takes in one frame; false if there is no whole one.
func (c *conn) next() bool {
	p := c.bytes()
	if !c.greeted {
		if n := min(len(p), len(h2.Preface)); string(p[:n]) != h2.Preface[:n] {
			c.abandon(h2.CodeProtocol)
			return false
		} else if n < len(h2.Preface) {
			return false
		}
		c.greeted = true
		c.r += len(h2.Preface)
		return true
	}
	if len(p) < h2.FrameHead {
		return false
	}
	f := h2.ParseFrame(p)
	if f.Length > h2.MaxFrame {
		c.abandon(h2.CodeFrameSize)
		return false
	}
	end := h2.FrameHead + int(f.Length)
	if len(p) < end {
		return false
	}
	c.r += end
	c.frame(&f, p[h2.FrameHead:end:end])
	return true
}

func (c *conn) bytes() []byte {
	if c.buf == nil {
		return c.small[c.r:c.w]
	}
	return c.buf[c.r:c.w]
}

// borrow gives the buffer to read into, moving what an idle connection has read.
func (c *conn) borrow() *[readBuffer]byte {
	if c.buf == nil {
		c.buf = readBuffers.Get().(*[readBuffer]byte)
		c.w = copy(c.buf[:], c.small[c.r:c.w])
		c.r = 0
	}
	return c.buf
}

// wait reads more bytes, and looks around now and then.
func (c *conn) wait() {
	now := flow.Now()
	c.look(now)
	if c.ended {
		return
	}
	c.due(now)
	if c.waking.Swap(false) {
		c.deadline = 0
		return
	}
	into := c.small[:]
	if c.buf != nil || c.w > 0 {
		b := c.borrow()
		if c.r > 0 && len(b)-c.w < h2.FrameHead+h2.MaxFrame {
			c.w = copy(b[:], b[c.r:c.w])
			c.r = 0
		}
		into = b[c.w:]
	}
	n, err := c.fc.Read(into)
	switch {
	case n > 0:
		c.arrived(n)
	case err != nil && errors.Is(err, os.ErrDeadlineExceeded):
		c.deadline = 0
		c.rest(flow.Now())
	case err != nil:
		c.gone(err)
	}
}

// arrived notes n more bytes.
func (c *conn) arrived(n int) {
	if c.partialAt == 0 || c.inData() {
		c.partialAt = flow.Now() // of a body, progress counts
	}
	c.w += n
	c.borrow()
}

// inData reports whether the frame being read is one of a body.
func (c *conn) inData() bool {
	p := c.bytes()
	return c.greeted && !c.block.open && len(p) > 3 && p[3] == h2.TypeData
}

// due has reads end when there is something to look at.
func (c *conn) due(now int64) {
	if c.r == c.w && !c.block.open && c.greeted {
		c.partialAt = 0
	} else if c.partialAt == 0 {
		c.partialAt = now
	}
	c.mu.Lock()
	busy := c.running > 0 || len(c.open) > 0
	c.mu.Unlock()
	at, slack := c.idleSince+c.patience(), int64(time.Second)
	switch {
	case busy, c.partialAt > 0, c.away > 0:
		at, slack = now+tick, tick/2
	case c.buf != nil && now-c.idleSince < restful:
		at, slack = min(at, now+restful), restful
	}
	if c.deadline >= at && c.deadline <= at+slack {
		return
	}
	c.deadline = at + slack/2
	_ = c.fc.SetReadDeadline(flow.Time(c.deadline))
}

// patience is how long the next stream, or the first one, may take to begin.
func (c *conn) patience() int64 {
	switch {
	case c.served:
		return int64(c.limits.Idle)
	case c.limits.First > 0:
		return int64(c.limits.First)
	default:
		return int64(max(c.limits.Header, c.limits.Idle))
	}
}
