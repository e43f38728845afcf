package transport

import (
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/wire/starttls"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// asks reports whether a server has to be asked for TLS in clear first: before our
// own, and before the client's that passes through, if the client has asked.
func asks(s *upstream.Server, who *caller) bool {
	c := who.client
	return c != nil && c.StartTLS != flow.NoStartTLS && (s.TLS != nil || c.Asked && c.TLS == nil)
}

// agree asks a server for TLS.
func agree(c net.Conn, s *upstream.Server, by time.Time) *flow.Error {
	if s.Timeouts.Connect > 0 {
		_ = c.SetDeadline(by)
	}
	err := starttls.Ask(c)
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err == nil {
		return nil
	}
	ne, ok := err.(net.Error)
	_ = c.Close()
	return &flow.Error{
		Side: flow.SideServer, Phase: flow.PhaseConnect, Timeout: ok && ne.Timeout(), Cause: "server agrees on no TLS", Err: err,
	}
}
