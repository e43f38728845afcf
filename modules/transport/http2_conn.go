package transport

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// mux is one HTTP/2 connection to a server, shared by exchanges (RFC 9113).
//
// One goroutine reads it and acts on what its frames say; it never waits for
// anything but bytes. Frames to be sent are appended to one buffer, and whoever
// flushes while nobody writes does so for all; what does not fit in the buffer, or
// in the server's windows, waits in the exchange that wants to send it.
//
// The connection's window is given back as bytes arrive, a stream's only as they
// are consumed: a slow client holds its own stream back, and no other one.
type mux struct {
	nc    net.Conn
	raw   syscall.RawConn
	under *counted // nil in clear
	label
	set     *Idle
	secure  bool
	stall   time.Duration
	idleFor int64
	settled chan struct{} // closed when the first SETTINGS are there

	// Of the goroutine that reads:
	buf  []byte
	r, w int
	dec  *h2.Decoder
	blk  block
	head head // what a head is decoded into

	mu        sync.Mutex
	open      []*stream
	nextID    uint32
	limit     int   // streams at a time
	extended  bool  // extended CONNECT is taken (RFC 8441)
	greeted   bool  // settled is closed
	greetBack bool  // a head was sent; see appendHead
	initial   int64 // the server's window for new streams
	window    int64 // what may be sent
	owed      int   // bytes received, and not yet given back
	out       []byte
	spare     []byte
	outGen    uint32 // counts swaps of out: whether a frame is still in it
	writing   bool
	torn      bool  // a write was told of a reset: what the reader finds then looks like an orderly end
	written   int64 // over the connection's life
	writeBy   int64 // deadline of writes, as set
	blocked   []*stream
	failed    *flow.Error // the connection is of no use any more
	away      bool        // no new streams
	closed    bool

	lastIn    int64 // when bytes came in
	pingLimit int64 // how long the answer to a PING may take
	pingAt    int64 // since when a PING is not answered; 0: none is
	pings     int   // sent since the server said something of a stream
	idleSince int64
	watch     *time.Timer
	watchAt   int64 // when it will look; 0: never
}

// Limits of a connection, told to the server by SETTINGS where there is one.
const (
	maxStreams   = 100       // open at a time; fewer if the server says so
	streamWindow = 128 << 10 // bytes of an answer's body that wait for the client
	connWindow   = 1 << 20   // bytes on their way
	muxBuffer    = 64 << 10  // holds frames of 16 KiB
	outLimit     = 64 << 10  // what waits to be written
)

// A connection that was quiet for as long as pingAfter is asked for a sign of life
// along with the next request, and while it is idle once, midway. Servers take
// offence at more (gRPC's: three without anything between them), so there are no more.
const (
	pingAfter = int64(5 * time.Second)
	pingLimit = int64(5 * time.Second)
	maxPings  = 2
)

func newMux(nc net.Conn, s *upstream.Server, set *Idle) *mux {
	m := &mux{
		nc: nc, raw: sock.Raw(nc), set: set, secure: s.TLS != nil, stall: s.Timeouts.Stall, nextID: 1, limit: maxStreams,
		initial: h2.DefaultWindow, window: h2.DefaultWindow, settled: make(chan struct{}), buf: make([]byte, muxBuffer),
	}
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		if w, ok := over.NetConn().(*counted); ok {
			m.under, m.raw, m.written = w, sock.Raw(w.Conn), w.n.Load()
		}
	}
	m.dec = h2.NewDecoder(m.emit, checkField)
	now := flow.Now()
	m.lastIn, m.idleSince, m.pingLimit = now, now, pingLimit
	m.watch = time.AfterFunc(time.Hour, m.look)
	m.watch.Stop()
	return m
}

// greet begins the connection and waits for the server's settings, which are the
// first that it says (RFC 9113 §3.4): from then on it is known to speak HTTP/2, and
// how many streams it takes. within is the time left; 0: any.
func (m *mux) greet(within time.Duration) *flow.Error {
	m.mu.Lock()
	b := h2.AppendFrame([]byte(h2.Preface), 4*6, h2.TypeSettings, 0, 0)
	b = h2.AppendSetting(b, h2.SettingPush, 0)
	b = h2.AppendSetting(b, h2.SettingStreams, maxStreams)
	b = h2.AppendSetting(b, h2.SettingWindow, streamWindow)
	b = h2.AppendSetting(b, h2.SettingHeaders, headLimit)
	m.out = h2.AppendWindow(b, 0, connWindow-h2.DefaultWindow)
	m.flush()
	m.mu.Unlock()
	go m.read()
	var late <-chan time.Time
	if within > 0 {
		t := time.NewTimer(within)
		defer t.Stop()
		late = t.C
	}
	fault := &flow.Error{Side: flow.SideServer, Phase: flow.PhaseConnect, Cause: "server does not speak HTTP/2"}
	select {
	case <-m.settled:
	case <-late:
		fault.Timeout = true
		m.mu.Lock()
		m.break_(fault)
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed != nil {
		fault.Err = m.failed.Err
		return fault
	}
	m.alarm(m.idleSince + m.idleFor/2)
	return nil
}

// settle wakes who waits for the server's settings; mu is held.
func (m *mux) settle() {
	if !m.greeted {
		m.greeted = true
		close(m.settled)
	}
}

// read takes in what the server says until the connection ends.
func (m *mux) read() {
	for {
		n, err := m.nc.Read(m.buf[m.w:])
		m.mu.Lock()
		if n > 0 {
			m.w += n
			m.lastIn, m.pingAt = flow.Now(), 0
			m.frames()
		}
		if err != nil {
			m.ended(err)
		}
		m.kick()
		m.finish()
		over := m.failed != nil
		m.mu.Unlock()
		if over {
			return
		}
	}
}

// ended is what becomes of a connection that the server has ended; mu is held.
func (m *mux) ended(err error) {
	if err == io.EOF {
		err = errClosed
	}
	m.break_(&flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "server closed its connection", Err: err})
}

// break_ gives the connection up: every stream ends with a fault. mu is held.
func (m *mux) break_(fault *flow.Error) {
	if m.failed != nil {
		return
	}
	acked := m.acknowledged(fault.Err) // while there is a socket to ask
	m.failed = fault
	for _, s := range m.open {
		s.lost(fault, acked)
		s.gone = true
	}
	m.open = nil
	m.settle()
	m.leave()
	m.finish()
}

// acknowledged gives how many bytes the server's kernel has acknowledged, -1 where that
// proves nothing. Only an orderly end tells what was received. A reset, which is what a
// server sends that closes while a frame of ours is unread, ends the socket before the
// acknowledgement that it carries is looked at. mu is held.
func (m *mux) acknowledged(why error) int64 {
	if m.raw == nil || m.torn || !errors.Is(why, errClosed) {
		return -1
	}
	return sock.Acked(m.raw)
}

// leave has no new streams come; mu is held.
func (m *mux) leave() {
	if !m.away {
		m.away = true
		go m.set.mux.remove(m) // whose lock is not to be taken under this one
	}
}

// finish closes a connection that is done with; mu is held.
func (m *mux) finish() {
	if m.closed || len(m.open) > 0 || !m.away && m.failed == nil {
		return
	}
	m.closed = true
	m.watch.Stop()
	if m.failed == nil {
		m.out = h2.AppendGoAway(m.out, 0, h2.CodeNone)
		m.failed = &flow.Error{Side: flow.SideServer, Cause: "connection is done with", Err: errClosed}
		if !m.writing {
			_ = m.nc.SetWriteDeadline(time.Now().Add(time.Second))
			out := m.out
			m.out = nil
			go func() {
				_, _ = m.nc.Write(out)
				_ = m.nc.Close()
			}()
			return
		}
	}
	_ = m.nc.Close()
}

// retire lets the connection go once its streams have ended.
func (m *mux) retire() {
	m.mu.Lock()
	m.leave()
	m.finish()
	m.mu.Unlock()
}

// roomy reports whether a stream can be opened now.
func (m *mux) roomy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hasRoom()
}

func (m *mux) hasRoom() bool {
	return !m.away && m.failed == nil && len(m.open) < m.limit && m.nextID < h2.MaxWindow-2
}

// flush writes what is kept back, unless somebody is at it, who then takes it
// along. mu is held, and let go of while writing.
func (m *mux) flush() {
	if m.writing {
		return
	}
	m.writing = true
	if len(m.open) > 1 {
		// Exchanges that can run now add their requests: one write for all.
		m.mu.Unlock()
		runtime.Gosched()
		m.mu.Lock()
	}
	for len(m.out) > 0 && m.failed == nil {
		b := m.out
		m.out = m.spare[:0]
		m.outGen++
		if now := flow.Now(); m.stall > 0 && m.writeBy < now+int64(m.stall) {
			m.writeBy = now + int64(m.stall) + int64(time.Second)
			_ = m.nc.SetWriteDeadline(flow.Time(m.writeBy))
		}
		m.mu.Unlock()
		n, err := m.nc.Write(b)
		m.mu.Lock()
		if m.under != nil {
			m.written = m.under.n.Load()
		} else {
			m.written += int64(n)
		}
		m.spare = b[:0]
		if cap(b) > 2*outLimit {
			m.spare = nil
		}
		m.torn = m.torn || errors.Is(err, syscall.ECONNRESET)
		if err != nil && !sock.Reset(err) { // else the reader finds what the server said before
			m.ended(err)
		}
		m.unblock()
	}
	m.writing = false
}

// kick has what is kept back written by another goroutine: the reader must not wait
// for a server that reads nothing before it has written. mu is held.
func (m *mux) kick() {
	if m.writing || len(m.out) == 0 || m.failed != nil {
		return
	}
	go func() {
		m.mu.Lock()
		m.flush()
		m.mu.Unlock()
	}()
}

// unblock wakes streams that wait for room in the connection's window or in the
// buffer, in the order in which they came, and no more than can use it. mu is held.
func (m *mux) unblock() {
	n := 0
	for room := min(m.window, int64(outLimit-len(m.out))); room > 0 && n < len(m.blocked); n++ {
		s := m.blocked[n]
		s.queued = false
		s.cond.Broadcast()
		room -= min(max(s.window, 1), h2.MaxFrame)
	}
	m.blocked = append(m.blocked[:0], m.blocked[n:]...)
}
