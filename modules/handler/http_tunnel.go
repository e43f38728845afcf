package handler

import (
	"net"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/tunnel"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// upgrader is a body whose connection can leave HTTP.
type upgrader interface {
	Upgraded() (server flow.Stream, early []byte)
}

// upgraded reports whether the answer ends HTTP on this connection.
func upgraded(x *flow.Exchange) bool {
	return x.Resp.Status == 101 || x.Req.Method == "CONNECT" && x.Resp.Status/100 == 2
}

// tunnel joins client and server once the codec has let go of the client. The
// slot is held until the tunnel ends.
func (h *Proxy) tunnel(x *flow.Exchange, t *tries, up upgrader) {
	s := t.held
	server, early := up.Upgraded()
	if server == nil {
		h.release(x, t)
		x.Abort(flow.ErrAborted)
		return
	}
	idle := s.Timeouts.Tunnel
	if x.Tunnel > 0 {
		idle = x.Tunnel
	}
	t.held = nil // it is the tunnel's now
	t.flight.Leave()
	flight := upstream.NewFlight()
	flight.EnterTunnel(s, x)
	flight.Carry(server)
	x.OpenTunnel(func(client flow.Stream, first []byte) {
		defer h.leave(x, s) // a panic must not keep the slot
		defer server.Close()
		defer flight.Leave()
		res := tunnel.Run(client, server, tunnel.Options{Idle: idle, Up: first, Down: early})
		r := &x.Record
		r.BytesIn += res.Up
		r.BytesOut += res.Down
		r.Timings.End = flow.Now()
		if res.Cause != '-' {
			r.Terminate(res.Cause, res.Phase)
			r.Err = res.Err
		}
	})
}

// socketed is a body that can be taken from its socket directly.
type socketed interface {
	Socket() (*net.TCPConn, int64)
	Moved(n int64)
}

// spliceMin is the size from which splicing beats copying.
const spliceMin = 128 << 10

// splice moves what is left of a long body between two plain sockets without
// copying it, when both ends are such.
func splice(x *flow.Exchange, body flow.Body) error {
	b, ok := body.(socketed)
	if !ok {
		return nil
	}
	src, n := b.Socket()
	if src == nil || n < spliceMin || x.Conn.Socket == nil || x.Conn.Conn != net.Conn(x.Conn.Socket) {
		return nil
	}
	m, err := x.Relay(src, n)
	b.Moved(m)
	return err
}
