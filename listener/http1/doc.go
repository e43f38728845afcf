// Package http1 serves HTTP/1 connections: it turns the bytes of a client
// connection into exchanges, one after the other, and their answers into bytes.
//
// One goroutine does both sides of a connection. Between exchanges it holds no
// buffer: a session (buffers and the exchange) is borrowed at the first byte of
// a request and given back when the connection is idle.
//
// Waiting is done inside the callback of RawConn.Read. The poller is
// edge-triggered, and what it reported since the last wait is kept; so after a
// read that did not fill the buffer, waiting at once is safe and the usual
// failing read (EAGAIN) is saved. An exchange whose request is wholly in the
// buffer is served inside that callback, without ever leaving it: "inline".
// Everything that must read more from the client (long bodies, tunnels) leaves
// the callback and uses blocking reads: "outline".
package http1
