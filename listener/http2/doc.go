// Package http2 serves HTTP/2 connections (RFC 9113), by TLS or with prior
// knowledge: it turns their streams into exchanges, which are served side by
// side, and the answers into frames.
//
// One goroutine reads a connection and decides everything that its frames say;
// it never waits for anything but bytes. Each exchange has a goroutine of its
// own, one of a few that a connection keeps while it is busy. There is no
// goroutine that writes: frames are appended to one buffer, and whoever flushes
// while nobody writes does so for all. What does not fit in the buffer, or in
// the client's windows, waits in the exchange that wants to send it, which is
// how a slow client holds a fast server back.
//
// Answers are encoded without HPACK's dynamic table, so that no head depends on
// another one. The path of an exchange is frames.go, headers.go, request.go,
// work.go, answer.go, write.go.
package http2
