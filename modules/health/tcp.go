package health

import (
	"context"
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var tcpModule = Module{
	Spec: spec.Word{
		Name:    "tcp",
		Doc:     "The server is well if it accepts a connection",
		Example: "health tcp interval 1s",
	},
	New: func(*config.Node) (Probe, error) { return tcpProbe{}, nil },
}

type tcpProbe struct{}

func (tcpProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	c, err := dial(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	// A reset instead of a goodbye: no state stays behind on either side.
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	_ = c.Close()
	return passed("Layer4 check passed", 0, ""), nil
}

// dial connects within the target's time, and bounds everything that follows on
// the connection by the context's deadline.
func dial(ctx context.Context, t *Target) (net.Conn, error) {
	d := net.Dialer{Timeout: t.Connect, KeepAlive: -1}
	if t.Source.IsValid() && t.Network == "tcp" {
		d.LocalAddr = &net.TCPAddr{IP: t.Source.AsSlice(), Zone: t.Source.Zone()}
	}
	c, err := d.DialContext(ctx, t.Network, t.Address)
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	} else {
		_ = c.SetDeadline(time.Now().Add(time.Minute))
	}
	return c, nil
}
