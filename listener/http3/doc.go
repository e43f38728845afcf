// Package http3 serves HTTP/3 (RFC 9114) over QUIC connections (quic-go): it
// turns their streams into exchanges, which are served side by side, and the
// answers into frames. The layer is its own one, as those of HTTP/1 and HTTP/2
// are, and net/http is not on its path; quic-go does packets, streams,
// handshakes and congestion control.
//
// An Endpoint is a UDP socket with its QUIC connections. It outlives
// configurations and listeners: connections go on over reloads, and take the new
// generation at their next exchange.
//
// A connection has one goroutine that accepts streams, one that looks at what
// has waited for too long, and one for each stream that is served, of a few that
// it keeps while it is busy. That one goroutine does all of its stream: it reads
// the head, serves, and answers. Flow control is QUIC's; what a client does not
// take waits in the exchange that wants to send it, which is how a slow client
// holds a fast server back.
//
// QPACK's dynamic table is used in neither direction, so that no head depends on
// another one. Priorities (RFC 9218) are not looked at. The path of an exchange
// is conn.go, request.go, work.go, answer.go.
package http3
