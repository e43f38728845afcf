package http1

import (
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Tunnel leaves HTTP: run gets the stream once the callback has been left.
func (c *conn) Tunnel(run func(flow.Stream, []byte)) { c.tunnel = run }

// runTunnel hands the connection over and ends the exchange when it is back.
// Bytes that came behind the request are the stream's first.
func (c *conn) runTunnel() {
	run := c.tunnel
	c.tunnel = nil
	c.done = true
	s := c.s
	early := s.buf[s.r:s.w]
	s.r = s.w
	if c.Flush() == nil {
		_ = c.fc.SetDeadline(time.Time{})
	} else {
		_ = c.fc.Close() // run still has to let go of what it holds
	}
	run(c.stream(), early)
	s.x.Record.BytesIn += s.in
	s.x.Record.BytesOut += s.answer.sent
	s.x.End()
	c.serving = false
	s.poison()
	c.fc.Idle()
}

// stream gives the connection as what it is, so that a socket can be spliced.
func (c *conn) stream() flow.Stream {
	if st, ok := c.fc.Conn.(flow.Stream); ok {
		return st
	}
	return closer{c.fc.Conn}
}

// closer is a stream whose directions can only end together.
type closer struct{ net.Conn }

func (c closer) CloseWrite() error { return c.Close() }
