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

// introduce takes the PROXY header off a connection whose peer sends one, and
// hands the connection to a goroutine of its own, whose stack is small. What
// sends none, or a bad one, is closed and logged: who may send a header must
// (spec §2: "MUST not try to guess").
func (c *conn) introduce(b *flow.Binding) {
	good := false
	defer func() {
		if !good {
			c.close(recover())
		}
	}()
	if !c.Busy() { // a drain was faster
		return
	}
	h, err := readHeader(c.bare(), c.Accepted.Add(waitFor(b.Proxy.Timeout)))
	log, who := c.socket.host.Log, c.socket.Key.String()
	switch {
	case errors.Is(err, io.EOF): // a look at the port
		log.Debug("peer left before its PROXY header", "socket", who, "peer", c.Peer.String())
		return
	case err != nil:
		log.Info("PROXY header refused", "socket", who, "peer", c.Peer.String(), "error", err)
		return
	}
	c.Told = &h.Told
	if !h.Told.Local {
		c.Client, c.Local = h.Source, h.Destination
	}
	c.Idle()
	good = true
	go c.begun()
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
