package http1

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
)

// Pieces of a relayed body. A deadline guards a piece, so it must be what a
// slow end moves within the stall timeout; a fast end gets longer ones.
const (
	leastPiece = 64 << 10
	mostPiece  = 4 << 20
	fastPiece  = int64(250 * time.Millisecond)
	slowPiece  = int64(2 * time.Second)
)

// Relay copies from the server's side; between plain sockets it is spliced.
func (c *conn) Relay(src io.Reader, n int64) (int64, error) {
	a := &c.s.answer
	switch {
	case a.err != nil:
		return 0, a.err
	case a.left >= 0 && n > a.left:
		return 0, flow.ErrTooLong
	case n < 0 || n > a.left || a.chunked || a.nobody || c.fc.Socket == nil || c.fc.Conn != net.Conn(c.fc.Socket):
		return c.copyFrom(src, n)
	}
	if err := c.Flush(); err != nil {
		return 0, err
	}
	moved := int64(0)
	for piece := int64(leastPiece); moved < n; {
		began := flow.Now()
		want := min(piece, n-moved)
		// TCPConn splices for a LimitedReader over a TCPConn.
		late := c.relayDue(src)
		m, err := io.Copy(c.fc.Socket, &io.LimitedReader{R: src, N: want})
		moved += m
		a.left -= m
		a.sent += m
		now := flow.Now()
		switch {
		case err != nil && m > 0 && now < late && errors.Is(err, os.ErrDeadlineExceeded):
			piece = leastPiece // the server is slow, but not silent
		case err != nil:
			return moved, c.relayFailed(src, err, now < late)
		case m < want: // the server ended early
			return moved, nil
		case now-began < fastPiece:
			piece = min(2*piece, mostPiece)
		case now-began > slowPiece:
			piece = max(piece/2, leastPiece)
		}
	}
	return moved, nil
}

// relayDue sets the deadlines of both ends. The client's is the later one, late:
// what passes before it is the server's.
func (c *conn) relayDue(src io.Reader) (late int64) {
	now, stall := flow.Now(), int64(c.stall())
	if s, ok := src.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = s.SetReadDeadline(flow.Time(now + stall))
	}
	late = now + stall + int64(time.Second)
	_ = c.fc.SetWriteDeadline(flow.Time(late))
	return late
}

// relayFailed tells whose fault it was that a relay broke.
func (c *conn) relayFailed(src io.Reader, err error, early bool) error {
	timeout := errors.Is(err, os.ErrDeadlineExceeded)
	server := timeout && early
	if s, ok := src.(net.Conn); ok && !timeout {
		rc := sock.Raw(s)
		server = rc != nil && sock.Ended(rc)
	}
	if !server {
		return c.sendFailed(err)
	}
	return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseData, Timeout: timeout, Cause: "answer broke off", Err: err, Begun: true}
}

// copyFrom is Relay through a buffer: n bytes of src, or all of them.
func (c *conn) copyFrom(src io.Reader, n int64) (moved int64, err error) {
	buf := bodyBuffers.Get().(*[bodyBuffer]byte)
	defer bodyBuffers.Put(buf)
	return flow.Copy(c, src, n, buf[:])
}
