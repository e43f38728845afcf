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
// One socket is read by one goroutine, which leaves packets to their connections.
// Several sockets of one address (SO_REUSEPORT) do not help: with one and with two of
// them, on two cores that the client shared, 128 requests at a time on 16 connections
// cost the server 42, 52, 60 and 47, 57, 57 µs of CPU each (12 bytes of answer; 3
// rounds of 20,000 in turn), and 683, 580, 600 and 670, 594, 707 µs (100 KB; 6,000).
// Reading is 5 % of that, and 3 %, so that one reader is enough for some 20 cores that
// do nothing but HTTP/3. And the kernel would choose among the sockets by a client's
// address: who moves would have to be passed on to where its connection is.
//
// QPACK's dynamic table is used in neither direction, so that no head depends on
// another one. Priorities (RFC 9218) are not looked at. The path of an exchange
// is conn.go, request.go, work.go, answer.go.
package http3
