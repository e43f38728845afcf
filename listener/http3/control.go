package http3

import (
	"errors"
	"io"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// greet opens our control stream and sends the settings; false: the connection
// has ended. QPACK's streams are not opened, as there is nothing to say on them
// (RFC 9204 §4.2).
func (c *conn) greet(limits *flow.Limits) bool {
	control, err := c.q.OpenUniStream()
	if err != nil {
		c.abandon(wire.CodeCreation) // the client allows no stream, which it must
		return false
	}
	if _, err := control.Write(wire.AppendControl(nil, wire.Settings{HeadBytes: uint64(limits.HeadBytes), Extended: true})); err != nil {
		return false
	}
	c.control = control
	return true
}

// goAway tells that streams from id on will not be served.
func (c *conn) goAway(id uint64) { _, _ = c.control.Write(wire.AppendGoAway(nil, id)) }

// unidirectional takes the client's streams of one direction.
func (c *conn) unidirectional() {
	defer c.workers.All.Done()
	// What the client says of itself, and of pushes, changes nothing that we send.
	says := &wire.Peer{Spend: func(uint64) bool { return c.budget.Spend(multi.CostFrame) }}
	for {
		q, err := c.q.AcceptUniStream(c.ctx)
		if err != nil {
			return
		}
		c.workers.All.Go(func() {
			defer q.ReleaseStreamCredit()
			if e := c.listenTo(says, q); e != 0 {
				c.abandon(e)
			}
		})
	}
}

// listenTo reads one of the client's streams of one direction; it gives the
// connection's error, 0 for none.
func (c *conn) listenTo(says *wire.Peer, q *quic.ReceiveStream) wire.Code {
	e, err := says.Listen(q)
	var cut *quic.StreamError
	switch {
	case err == wire.ErrForeign:
		q.CancelRead(quic.StreamErrorCode(wire.CodeCreation))
		c.charge(multi.CostReset)
	case err == io.EOF, errors.As(err, &cut):
		return wire.CodeCritical
	}
	return e
}
