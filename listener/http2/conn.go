package http2

import (
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
