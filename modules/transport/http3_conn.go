package transport

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// line is one HTTP/3 connection to a server, shared by exchanges (RFC 9114). It does
// less than HTTP/2's mux: QUIC has flow control and deadlines for each of its streams,
// so that an exchange reads and writes its own by itself, without a lock, and a slow
// client holds its own stream back and no other one (see quicConfig).
//
// One goroutine takes the streams on which the server says what concerns them all
// (its settings, GOAWAY), and notices the connection's end, so that no exchange is
// given to a dead one for long. A connection is found by its set until it is away:
// then those that are on it go on, and whoever ends last closes it. QUIC itself asks
// for a sign of life every five seconds; a server that gives none for ten has died.
type line struct {
	q quicConn
	label
	set     *sharing[*line]
	idleFor int64
	settled chan struct{} // closed when the server's settings are there

	mu        sync.Mutex
	open      []*strand
	opened    bool        // there has been a stream
	most      int         // streams that were open at a time
	full      int64       // until when the server is taken to have no room for more streams
	away      bool        // no new streams
	extended  bool        // extended CONNECT is taken (RFC 9220)
	failed    *flow.Error // what we have closed it for; nil: it ended in another way, or stands
	idleSince int64
	watch     *time.Timer
}

// quicConn is what a line has of a *quic.Conn, and quicStream what an exchange has of
// a *quic.Stream: what a server may send can then be tried without a network.
type quicConn interface {
	Context() context.Context
	OpenStream() (*quic.Stream, error)
	OpenUniStream() (*quic.SendStream, error)
	AcceptUniStream(ctx context.Context) (*quic.ReceiveStream, error)
	CloseWithError(code quic.ApplicationErrorCode, reason string) error
}

type quicStream interface {
	io.ReadWriteCloser
	StreamID() quic.StreamID
	CancelRead(code quic.StreamErrorCode)
	CancelWrite(code quic.StreamErrorCode)
	SetDeadline(at time.Time) error
	SetReadDeadline(at time.Time) error
	SetWriteDeadline(at time.Time) error
}

func newLine(q quicConn, s *upstream.Server, set *sharing[*line]) *line {
	idleFor := s.Timeouts.Idle
	if idleFor <= 0 {
		idleFor = time.Minute
	}
	c := &line{q: q, set: set, idleFor: int64(idleFor), settled: make(chan struct{}), idleSince: flow.Now()}
	c.watch = time.AfterFunc(idleFor, c.look)
	return c
}

// greet opens our control stream and begins to listen to the server's.
func (c *line) greet() error {
	control, err := c.q.OpenUniStream()
	if err == nil {
		_, err = control.Write(wire.AppendControl(nil, wire.Settings{HeadBytes: headLimit}))
	}
	if err != nil {
		c.watch.Stop()
		_ = c.q.CloseWithError(quic.ApplicationErrorCode(wire.CodeCreation), "")
		return err
	}
	go c.listen()
	return nil
}

// take opens a stream for an exchange, which has to say goodbye to it by quit, or by a
// tunnel's Close. nil without a fault: there is no room, look elsewhere. A fault is
// what no other connection to the server would spare the exchange.
func (c *line) take(x *flow.Exchange, srv *upstream.Server) (*strand, *flow.Error) {
	tunnels := len(x.Req.Upgrade) == 0 || c.tunnels(srv.Timeouts.Connect)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.hasRoom(): // for what it cannot do, too, if the connection has ended meanwhile
		return nil, nil
	case !tunnels:
		return nil, noTunnels()
	}
	q, err := c.q.OpenStream()
	var limit *quic.StreamLimitReachedError
	switch {
	case errors.As(err, &limit) && !c.opened: // RFC 9114 §6.1 has it give room for a hundred
		c.leave()
		c.finish()
		return nil, noStreams()
	case errors.As(err, &limit):
		c.full = flow.Now() + int64(fullFor)
		c.set.room.Store(int64(c.most))
		return nil, nil
	case err != nil:
		c.leave()
		return nil, nil
	}
	s := strands.Get().(*strand)
	s.begin(c, q)
	s.x, s.t, s.first = x, &srv.Timeouts, !c.opened
	c.opened = true
	c.open = append(c.open, s)
	c.most = max(c.most, len(c.open))
	return s, nil
}

// fullFor is for how long a connection that was full is not asked again, unless a
// stream of it ends. It is asked then because a stream that ends gives no room by
// itself: the server says when it takes another (MAX_STREAMS, RFC 9000 §4.6), which
// may be after the last one has ended, and quic-go tells nobody.
const fullFor = 10 * time.Millisecond

// noStreams is a server that lets nobody in.
func noStreams() *flow.Error {
	return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseConnect, Cause: "server takes no streams"}
}

// tunnels reports whether the server takes extended CONNECT, which only its settings
// tell (RFC 9220 §3); they are waited for.
func (c *line) tunnels(within time.Duration) bool {
	if within <= 0 {
		within = quicShake
	}
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-c.settled:
	case <-c.q.Context().Done():
	case <-t.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.extended
}

// roomy reports whether a stream can be opened now.
func (c *line) roomy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hasRoom()
}

func (c *line) hasRoom() bool {
	if c.q.Context().Err() != nil {
		c.leave()
	}
	return !c.away && len(c.open) < maxStreams && (c.full == 0 || flow.Now() >= c.full)
}

// leave has no new streams come; mu is held.
func (c *line) leave() {
	if !c.away {
		c.away = true
		go c.set.remove(c) // whose lock is not to be taken under this one
	}
}

// remove forgets a stream that has ended. Its room may have to be waited for, see
// fullFor, but is worth asking for at once.
func (c *line) remove(s *strand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = 0
	if at := slices.Index(c.open, s); at >= 0 {
		last := len(c.open) - 1
		c.open[at], c.open[last] = c.open[last], nil
		c.open = c.open[:last]
	}
	if len(c.open) == 0 {
		c.idleSince = flow.Now()
		c.finish()
	}
}

// finish closes a connection that is done with; mu is held. No GOAWAY goes before it:
// that is for pushes, of which there are none (RFC 9114 §5.2).
func (c *line) finish() {
	if len(c.open) == 0 && c.away {
		c.watch.Stop()
		go func() { _ = c.q.CloseWithError(quic.ApplicationErrorCode(wire.CodeNone), "") }() // which waits
	}
}

// retire lets the connection go once its streams have ended.
func (c *line) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave()
	c.finish()
}

// look ends a connection that nobody needs, or that has ended by itself. While there
// are streams it looks again after the idle timeout, rather than be told of each end.
func (c *line) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.idleFor - (flow.Now() - c.idleSince)
	switch {
	case c.q.Context().Err() != nil, len(c.open) == 0 && left <= 0:
		c.leave()
		c.finish()
	case len(c.open) > 0:
		c.watch.Reset(time.Duration(c.idleFor))
	default:
		c.watch.Reset(time.Duration(left))
	}
}

// protest ends a connection whose server does not keep to the protocol, and gives
// what becomes of its exchanges.
func (c *line) protest(e wire.Code) *flow.Error {
	c.mu.Lock()
	if c.failed == nil {
		c.failed = &flow.Error{
			Side: flow.SideServer, Phase: flow.PhaseHeaders, Status: 502, Cause: "invalid answer", Err: &flow.Reset{Code: uint32(codeToH2(e))}, Begun: true,
		}
	}
	fault := *c.failed
	c.leave()
	c.mu.Unlock()
	_ = c.q.CloseWithError(quic.ApplicationErrorCode(e), "")
	return &fault
}

// goesAway is a server that serves no stream from id on (RFC 9114 §5.2): what there
// is of them was not looked at, and is safe to be sent elsewhere.
func (c *line) goesAway(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave()
	c.finish()
	for _, s := range c.open {
		if uint64(s.q.StreamID()) >= id {
			s.fail(&flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Cause: "server is going away", Stale: true})
		}
	}
}
