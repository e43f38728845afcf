package transport

import (
	"context"
	"errors"
	"io"

	"github.com/quic-go/quic-go"

	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// maxControlFrames bounds what a server may say beside its answers, over a
// connection's life.
const maxControlFrames = 10_000

// listen takes the server's streams of one direction until the connection ends.
func (c *line) listen() {
	frames := 0
	says := &wire.Peer{
		Server: true, Settings: c.settle, GoAway: c.goesAway,
		Spend: func(stream uint64) bool {
			if stream != wire.StreamControl {
				return true
			}
			frames++ // in one goroutine: there is one control stream
			return frames <= maxControlFrames
		},
	}
	for {
		q, err := c.q.AcceptUniStream(context.Background())
		if err != nil {
			c.mu.Lock()
			c.leave()
			c.finish()
			c.mu.Unlock()
			return
		}
		go func() {
			if e := c.listenTo(says, q); e != 0 {
				_ = c.protest(e)
			}
		}()
	}
}

// listenTo reads one of the server's streams of one direction; it gives the
// connection's error, 0 for none.
func (c *line) listenTo(says *wire.Peer, q *quic.ReceiveStream) wire.Code {
	e, err := says.Listen(q)
	var cut *quic.StreamError
	switch {
	case err == wire.ErrForeign:
		q.CancelRead(quic.StreamErrorCode(wire.CodeCreation))
	case err == io.EOF, errors.As(err, &cut): // it was the server who ended the stream
		return wire.CodeCritical
	}
	return e
}

// settle takes in the server's settings.
func (c *line) settle(s wire.Settings) {
	c.mu.Lock()
	c.extended = s.Extended
	c.mu.Unlock()
	close(c.settled)
}
