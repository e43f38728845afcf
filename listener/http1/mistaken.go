package http1

import "github.com/loadstar-lb/loadstar/listener/flow"

// recordHandshake begins a TLS connection (RFC 8446 §5.1), and no HTTP request: it
// is no character of a method.
const recordHandshake = 22

// errHello refuses a client that begins with TLS where it is not spoken. Without a
// look at the first byte it would be waited on for the end of a request's header.
var errHello = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 400, Cause: "TLS on a port in clear"}

// alert tells such a client in its own words that it fails here: a fatal
// handshake_failure (RFC 8446 §6.2). Not protocol_version, which has some clients
// try again with an older one.
const alert = "\x15\x03\x01\x00\x02\x02\x28"

// mistaken reports whether a connection begins with a ClientHello.
func (c *conn) mistaken() bool {
	return c.served == 0 && c.fc.TLS == nil && c.s.buf[c.s.r] == recordHandshake
}
