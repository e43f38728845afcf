package transport

import "github.com/loadstar-lb/loadstar/listener/flow"

// watch has the exchange end when its client leaves, as far as that can be noticed
// (flow.Exchange.OnLeave): a server that is silent for long, as with events, would
// otherwise keep its place until a timeout.
func (c *conn) watch(x *flow.Exchange) {
	c.deserted.Store(false)
	c.x = x
	x.OnLeave(c)
}

// unwatch takes that back.
func (w *work) unwatch() {
	if w.x != nil {
		w.x.OnLeave(nil)
		w.x = nil
	}
}

// ClientLeft implements flow.Witness. Closing the connection is what ends a wait for
// the server; nothing else is wanted of it. It may wait for who uses the descriptor.
func (c *conn) ClientLeft() {
	c.deserted.Store(true)
	nc := c.Conn
	go func() { _ = nc.Close() }()
}

// leftBehind is what ends an exchange whose client has left, nil if it is there.
func (c *conn) leftBehind(at flow.Phase) *flow.Error {
	if !c.deserted.Load() {
		return nil
	}
	return &flow.Error{Side: flow.SideClient, Phase: at, Cause: "client reset the stream", Begun: true}
}
