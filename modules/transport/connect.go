package transport

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var errFamily = errors.New("the client's address is of another family than the server's")

// connect makes the connection itself, in the client's name if that is wanted, and
// tells the server of the client.
func connect(s *upstream.Server, who *caller) (net.Conn, *flow.Error) {
	d := net.Dialer{Timeout: s.Timeouts.Connect, KeepAlive: 30 * time.Second}
	switch {
	case s.AsClient && who.from.IsValid():
		d.LocalAddr = &net.TCPAddr{IP: who.from.AsSlice()}
		d.Control = transparent
	case s.Source.IsValid():
		d.LocalAddr = &net.TCPAddr{IP: s.Source.AsSlice()}
	}
	c, err := d.Dial(s.Network, s.Dial)
	if err != nil {
		return nil, refusal(s, who, err)
	}
	if s.Proxy == nil {
		return c, nil
	}
	var room [256]byte
	header := s.Proxy.Append(room[:0], who.client)
	if s.Timeouts.Connect > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(s.Timeouts.Connect))
	}
	if _, err := c.Write(header); err != nil {
		_ = c.Close()
		return nil, refusal(s, who, err)
	}
	_ = c.SetWriteDeadline(time.Time{})
	who.ahead = len(header)
	return c, nil
}

// refusal says why there is no connection.
func refusal(s *upstream.Server, who *caller, err error) *flow.Error {
	ne, ok := err.(net.Error)
	f := &flow.Error{
		Side: flow.SideServer, Phase: flow.PhaseConnect,
		Timeout: ok && ne.Timeout(), Cause: "connect failed", Err: err,
	}
	if !s.AsClient || !who.from.IsValid() {
		return f
	}
	if host, _, bad := net.SplitHostPort(s.Dial); bad == nil {
		if ip, bad := netip.ParseAddr(host); bad == nil && ip.Unmap().Is4() != who.from.Is4() {
			f.Err = errFamily
		}
	}
	f.Cause = "connect as the client failed"
	return f
}
