package listener

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	"github.com/loadstar-lb/loadstar/listener/wire/proxyproto"
)

// introduce takes off what comes first and in clear, a PROXY header from a peer that
// sends one and what a client asks for TLS with, and hands the connection to a
// goroutine of its own, whose stack is small. What is not as it must be is closed
// and logged.
func (c *conn) introduce(b *flow.Binding, told bool) {
	good := false
	defer func() {
		if !good {
			c.close(recover())
		}
	}()
	if !c.Busy() { // a drain was faster
		return
	}
	if told {
		if err := c.proxied(b); err != nil {
			c.turnAway("PROXY header refused", err)
			return
		}
	}
	if b.StartTLS != flow.NoStartTLS {
		if err := c.startTLS(b); err != nil {
			c.turnAway("no TLS was agreed on", err)
			return
		}
	}
	c.Idle()
	good = true
	go c.begun()
}

// turnAway logs why a connection is closed before its protocol has begun.
func (c *conn) turnAway(what string, err error) {
	if errors.Is(err, io.EOF) { // a look at the port
		c.socket.host.Log.Debug("peer left before it said anything", "socket", c.socket.Key.String(), "peer", c.Peer.String())
		return
	}
	c.refuse(what, "peer", c.Peer.String(), "error", err)
}

// proxied takes the PROXY header off. Who may send a header must (spec §2: "MUST
// not try to guess").
func (c *conn) proxied(b *flow.Binding) error {
	h, err := readHeader(c.bare(), c.Accepted.Add(waitFor(b.Proxy.Timeout)))
	if err != nil {
		return err
	}
	c.Told = &h.Told
	if !h.Told.Local {
		c.Client, c.Local = h.Source, h.Destination
		c.said.Store(&h.Source)
	}
	return nil
}

// waitFor gives the time for what comes before the protocol.
func waitFor(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return DefaultHandshake
	}
	return timeout
}

// bare gives the connection beneath TLS.
func (c *conn) bare() net.Conn {
	if t, ok := c.Conn.Conn.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c.Conn.Conn
}

var errNoSocket = errors.New("the connection has no socket")

// readHeader reads a PROXY header and not one byte more: what follows belongs to
// whoever reads next. It is looked at first, and taken when it is there in full.
// Its error is io.EOF for a peer that left without a byte.
func readHeader(nc net.Conn, by time.Time) (h proxyproto.Header, err error) {
	rc := sock.Raw(nc)
	if rc == nil {
		return h, errNoSocket
	}
	if err := nc.SetReadDeadline(by); err != nil {
		return h, err
	}
	length, seen := 0, false
	var fault error
	p := peek{judge: func(b []byte) (bool, int) {
		seen = true
		length, fault = proxyproto.Length(b)
		return fault != nil || length > 0 && length <= len(b), max(length, len(b)+1)
	}}
	err = p.wait(rc)
	switch {
	case err != nil:
		return h, err
	case !seen:
		return h, io.EOF
	case fault != nil:
		return h, fault
	case length == 0:
		return h, io.ErrUnexpectedEOF
	}
	head := make([]byte, length)
	if _, err := io.ReadFull(nc, head); err != nil {
		return h, err
	}
	if err := nc.SetReadDeadline(time.Time{}); err != nil {
		return h, err
	}
	return proxyproto.Parse(head)
}
