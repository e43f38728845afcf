package graph

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// clientSide are the timeouts of the client side.
type clientSide struct {
	header, idle, stall, drain, tunnel, queue, handshake time.Duration
	streams, window                                      int // of HTTP/2
}

func defaultClientSide() clientSide {
	l := flow.DefaultLimits
	return clientSide{
		header: l.Header, idle: l.Idle, stall: l.Stall, drain: l.Drain,
		queue: 5 * time.Second, handshake: 5 * time.Second,
	}
}

// read takes over what the `timeout` directives of a block say.
func (c *clientSide) read(body []config.Node) {
	for _, n := range config.Find(body, "timeout") {
		for _, o := range []struct {
			name string
			to   *time.Duration
		}{
			{"header", &c.header}, {"idle", &c.idle}, {"stall", &c.stall}, {"drain", &c.drain},
			{"tunnel", &c.tunnel}, {"queue", &c.queue}, {"handshake", &c.handshake},
		} {
			if n.Has(o.name) {
				*o.to = n.OptionDuration(o.name)
			}
		}
	}
}

// readHTTP2 takes over what `http2` of the process says.
func (c *clientSide) readHTTP2(body []config.Node) {
	if n := config.Last(body, "http2"); n != nil {
		c.streams, c.window = int(n.OptionInt("streams")), int(n.OptionInt("window"))
	}
}

// limits gives what holds before the site is known.
func (c *clientSide) limits() flow.Limits {
	l := flow.DefaultLimits
	l.Header, l.Idle, l.Stall, l.Drain = c.header, c.idle, c.stall, c.drain
	l.Handshake, l.Streams, l.Window = c.handshake, c.streams, c.window
	return l
}

// widen raises limits to those of another site on the same socket.
func widen(l *flow.Limits, o flow.Limits) {
	l.Header, l.Idle = max(l.Header, o.Header), max(l.Idle, o.Idle)
	l.Stall, l.Drain = max(l.Stall, o.Stall), max(l.Drain, o.Drain)
	l.Handshake = max(l.Handshake, o.Handshake)
}
