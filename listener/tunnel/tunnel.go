// Package tunnel relays two byte streams in both directions until both have
// ended: TCP passthrough, and HTTP upgrades and CONNECT once they are through.
//
// Half-close is kept: the end of one direction is passed on as the end of that
// direction alone. Between two sockets small messages go through a borrowed
// buffer, one read and one write each, and streams that fill it go by splice
// without being copied. A direction that waits holds neither buffer nor pipe,
// so idle tunnels cost two small goroutines.
package tunnel

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
)

// Options of one tunnel.
type Options struct {
	// Idle ends the tunnel when nothing moved either way for that long; 0: never.
	Idle time.Duration
	// Up and Down are bytes already read from the client and from the server,
	// to be passed on first. They are borrowed until Run returns.
	Up, Down []byte
}

// Result tells what became of a tunnel.
type Result struct {
	Up   int64 // bytes passed from the client to the server
	Down int64 // bytes passed from the server to the client
	// Cause and Phase are the termination state as HAProxy's tcplog names it:
	// "--" both sides ended, "CD" and "SD" a side broke off, "cD" and "sD" a side
	// timed out, "KD" the connection was closed under the tunnel.
	Cause, Phase byte
	Err          error // what lies beneath Cause, nil if "--"
}

// ErrIdle is the Err of a tunnel that timed out.
var ErrIdle = errors.New("tunnel idle for too long")

// end is why a tunnel was cut; the first reason counts.
type end struct {
	cause byte
	err   error
}

// session is a running tunnel.
type session struct {
	idle     int64        // nanoseconds
	last     atomic.Int64 // flow.Now of the last traffic
	cut      atomic.Pointer[end]
	up, down direction
	wg       sync.WaitGroup
}

// direction moves bytes one way.
type direction struct {
	s          *session
	src, dst   flow.Stream
	rsrc, rdst syscall.RawConn // nil unless both ends are sockets
	from, to   byte            // 'C' or 'S': whose fault is a failure of src, of dst
	moved      int64
	pending    []byte      // what is being written
	blocked    atomic.Bool // dst takes nothing
	over       atomic.Bool // the end was seen and passed on
	raw        rawState
}

// Run relays between client and server until both directions have ended, one
// side failed, or nothing moved for Options.Idle. It closes neither (but ends
// their writing sides), and leaves past deadlines on both: a tunnel is the last
// thing that happens on a connection.
func Run(client, server flow.Stream, o Options) Result {
	s := &session{idle: int64(o.Idle)}
	s.touch()
	s.up = direction{s: s, src: client, dst: server, from: 'C', to: 'S', pending: o.Up}
	s.down = direction{s: s, src: server, dst: client, from: 'S', to: 'C', pending: o.Down}
	if c, d := rawOf(client), rawOf(server); c != nil && d != nil {
		s.up.rsrc, s.up.rdst = c, d
		s.down.rsrc, s.down.rdst = d, c
	}
	s.wg.Add(1)
	go s.down.run(&s.wg)
	s.up.run(nil)
	s.wg.Wait()
	r := Result{Up: s.up.moved, Down: s.down.moved, Cause: '-', Phase: '-'}
	if e := s.cut.Load(); e != nil {
		r.Cause, r.Phase, r.Err = e.cause, byte(flow.PhaseData), e.err
	}
	return r
}

func (d *direction) run(wg *sync.WaitGroup) {
	if wg != nil {
		defer wg.Done()
	}
	if len(d.pending) > 0 && !d.flush() {
		return
	}
	if d.rsrc != nil {
		d.runRaw()
	} else {
		d.runCopy()
	}
}

// flush writes what is pending from before.
func (d *direction) flush() bool {
	if d.rsrc == nil {
		return d.writeCopy()
	}
	d.raw.bind(d)
	return d.finishOutput()
}

func (s *session) touch() { s.last.Store(flow.Now()) }

// stop cuts the tunnel and wakes whoever waits on either side.
func (s *session) stop(cause byte, err error) {
	if !s.cut.CompareAndSwap(nil, &end{cause, err}) {
		return
	}
	past := time.Unix(1, 0)
	for _, c := range [2]flow.Stream{s.up.src, s.down.src} {
		if c, ok := c.(deadliner); ok {
			_ = c.SetReadDeadline(past)
			_ = c.SetWriteDeadline(past)
		}
	}
}

// stopped is checked after every change of a deadline: stop sets cut first and
// the deadline second, so that one of the two is seen.
func (s *session) stopped() bool { return s.cut.Load() != nil }

// fail cuts the tunnel after an error of reading from or writing to a side.
func (d *direction) fail(side byte, err error) {
	if errors.Is(err, net.ErrClosed) {
		side = 'K'
	}
	d.s.stop(side, err)
}

// ended passes the end of the stream on.
func (d *direction) ended() {
	d.over.Store(true)
	// A destination that is gone already will be noticed by the other direction.
	_ = d.dst.CloseWrite()
}

// expired tells whether the tunnel has been idle for too long, and cuts it then.
func (s *session) expired() bool {
	if s.stopped() {
		return true
	}
	if s.idle <= 0 || flow.Now()-s.last.Load() < s.idle {
		return false
	}
	s.stop(s.idler(), ErrIdle)
	return true
}

// idler names the side that let the tunnel go idle: the one that takes no data,
// else the one whose end is still outstanding, else the client.
func (s *session) idler() byte {
	switch {
	case s.up.blocked.Load():
		return 's'
	case s.down.blocked.Load():
		return 'c'
	case s.up.over.Load() && !s.down.over.Load():
		return 's'
	default:
		return 'c'
	}
}

// deadline is when the tunnel is to be looked at again. It is set once an idle
// period, not once a read.
func (s *session) deadline() time.Time {
	return flow.EpochTime().Add(time.Duration(s.last.Load() + s.idle))
}

type deadliner interface {
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// rawOf gives the descriptor of a stream that is nothing but a socket.
func rawOf(s flow.Stream) syscall.RawConn {
	switch c := s.(type) {
	case *net.TCPConn:
		return sock.Raw(c)
	case *net.UnixConn:
		return sock.Raw(c)
	}
	return nil
}

// armRead sets the read deadline anew; false if the tunnel was cut meanwhile.
func (d *direction) armRead() bool {
	if c, ok := d.src.(deadliner); ok && d.s.idle > 0 {
		_ = c.SetReadDeadline(d.s.deadline())
	}
	return !d.s.stopped()
}

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
