package http2

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// Server serves connections of HTTP/2; it is a flow.ConnServer. What it serves
// them with is the connection's binding.
type Server struct{}

// Limits of a connection, all of them told to the client by SETTINGS.
const (
	maxStreams   = 100       // open at a time, unless the binding says otherwise
	streamWindow = 64 << 10  // bytes of a request's body that wait, likewise
	minWindow    = 256 << 10 // the same of all streams together; of four, if that is more
	headBudget   = 256 << 10 // bytes of heads held by streams in progress
	readBuffer   = 32 << 10  // holds a frame of h2.MaxFrame bytes
	outLimit     = 64 << 10  // what is kept back or waits to be written
)

const (
	// tick is how often a busy connection looks at what waits for too long.
	tick = int64(500 * time.Millisecond)
	// restful is how long a connection is idle before it lets go of its buffer
	// and its goroutines.
	restful = int64(50 * time.Millisecond)
)

// conn is one client connection.
type conn struct {
	fc     *flow.Conn
	limits flow.Limits // changed by the reader, under mu
	// What the settings of this connection say, whatever a reload brings:
	streams, window, connWindow int

	// Of the goroutine that reads:
	buf       *[readBuffer]byte // nil while idle
	small     [64]byte          // what an idle connection reads into
	r, w      int
	dec       *h2.Decoder
	block     block
	trailer   multi.Head // what a trailer section is read into
	fresh     []*stream  // heads that came with the last read
	lastID    uint32
	budget    multi.Budget
	greeted   bool  // the preface was seen
	settled   bool  // so were the first SETTINGS
	ended     bool  // nothing more is read
	linger    bool  // unread bytes may be on their way
	deadline  int64 // of reads, as set
	partialAt int64 // when a frame, or a head, began that is not complete
	idleSince int64
	scanned   int64 // the last look at what waits
	served    bool  // there was a stream
	away      int   // steps of the goodbye: GOAWAY was sent so often
	awayAt    int64

	waking   atomic.Bool // the reader is to look around
	draining atomic.Bool // so the drain has said

	mu          sync.Mutex
	open        []*stream // of the protocol's
	closed      ring
	running     int // streams being served, or about to be
	held        int // bytes of their heads
	out, spare  []byte
	outGen      uint32 // counts swaps of out: whether a frame is still in it
	writing     bool
	written     sync.Cond // nobody writes any more
	failed      error     // the connection is of no use any more
	greetedBack bool      // a head was sent: see appendHead
	sendWindow  int64
	initial     int64 // the client's window for new streams
	recvWindow  int   // what the client may still send
	owed        int   // of it, consumed and not yet given back
	blocked     []*stream
	writeBy     int64 // deadline of writes, as set
	workers     multi.Workers[stream]
}

var readBuffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// ServeConn serves exchanges until the connection ends. The caller closes it.
func (Server) ServeConn(fc *flow.Conn) {
	now := flow.Now()
	c := &conn{
		fc: fc, limits: fc.Pin().Limits, idleSince: now, scanned: now, sendWindow: h2.DefaultWindow, initial: h2.DefaultWindow,
	}
	c.agree(c.limits)
	c.dec = h2.NewDecoder(c.emit, multi.Good)
	c.budget.Begin(now)
	c.written.L = &c.mu
	fc.OnDrain(func() {
		if !c.draining.Swap(true) {
			c.wake()
		}
	})
	defer c.finish()
	c.greet()
	if early := fc.Early; early != nil {
		fc.Early = nil
		c.w = copy(c.borrow()[:], early)
	}
	for !c.ended {
		c.advance()
		if c.ended {
			break
		}
		c.wait()
	}
}

// agree takes the limits over that the client is told of.
func (c *conn) agree(l flow.Limits) {
	if c.streams = l.Streams; c.streams == 0 {
		c.streams = maxStreams
	}
	if c.window = l.Window; c.window == 0 {
		c.window = streamWindow
	}
	c.connWindow = max(minWindow, 4*c.window)
	c.recvWindow = c.connWindow
	c.workers.Begin(&c.mu, c.maxServed(), c.serve, c.keeps)
}

// maxServed is how many exchanges are served at a time, those among them that the
// client has reset.
func (c *conn) maxServed() int { return 2 * c.streams }

// greet sends the settings and widens the connection's window.
func (c *conn) greet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := h2.AppendFrame(c.out, 5*6, h2.TypeSettings, 0, 0)
	b = h2.AppendSetting(b, h2.SettingStreams, uint32(c.streams))
	b = h2.AppendSetting(b, h2.SettingWindow, uint32(c.window))
	b = h2.AppendSetting(b, h2.SettingFrame, h2.MaxFrame)
	b = h2.AppendSetting(b, h2.SettingHeaders, uint32(c.limits.HeadBytes))
	b = h2.AppendSetting(b, h2.SettingExtended, 1)
	c.out = h2.AppendWindow(b, 0, c.connWindow-h2.DefaultWindow)
	c.flush()
}

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

// wake has the reader look around, from another goroutine.
func (c *conn) wake() {
	c.waking.Store(true)
	_ = c.fc.SetReadDeadline(time.Unix(1, 0))
}

// gone ends a connection whose client has left.
func (c *conn) gone(err error) {
	c.ended = true
	c.mu.Lock()
	c.break_(err)
	c.mu.Unlock()
}

// break_ gives the connection up: nobody waits for it any more. c.mu is held.
func (c *conn) break_(err error) {
	if c.failed != nil {
		return
	}
	c.failed = multi.Gone(err)
	for _, s := range c.open {
		s.bereave()
	}
}

// finish waits for what is still served, and lets go of everything.
func (c *conn) finish() {
	if p := recover(); p != nil {
		defer panic(p) // a fault of ours: whoever accepted the connection says so
	}
	if c.linger {
		c.lingerClose()
	}
	c.gone(net.ErrClosed)
	_ = c.fc.Close()
	c.workers.Dismiss()
	c.mu.Lock()
	for _, s := range c.fresh { // read, but never served
		c.running--
		c.remove(s, false)
	}
	c.mu.Unlock()
	c.workers.All.Wait()
	if c.buf != nil {
		readBuffers.Put(c.buf)
		c.buf = nil
	}
	c.fc.OnDrain(nil)
	c.fc.Idle()
	c.fc.Unpin()
}

// lingerClose ends our side and takes in, for a moment, what is on its way:
// closing with unread bytes would reset the connection, and the client would not
// learn why.
func (c *conn) lingerClose() {
	half, ok := c.fc.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.fc.SetReadDeadline(time.Now().Add(lingerTime))
	b := c.borrow()
	for left := lingerBytes; left > 0; {
		n, err := c.fc.Read(b[:])
		if err != nil {
			return
		}
		left -= n
	}
}

const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)
