// Package flow holds what passes through Loadstar: a connection, an exchange
// on it (one request and its answer, whatever the HTTP version), and the
// record of what became of it. Codecs make exchanges, modules decide over
// them, loggers write down their records; they meet only here.
//
// The model of Exchange is HAProxy's HTX: one neutral message between codecs.
// Bytes that an exchange shows (header names and values, target, body views)
// are borrowed from buffers of the connection and die with End. Under the
// race detector those buffers are poisoned afterwards, so that whoever kept a
// view fails loudly.
package flow

import (
	"errors"
	"io"
	"strconv"
)

// Server serves exchanges; codecs call it.
type Server interface{ ServeExchange(x *Exchange) }

// ConnServer serves a whole connection; the accept loop calls it. It returns
// when the connection is done with; the caller closes it.
type ConnServer interface{ ServeConn(c *Conn) }

// Handler is one step of a site. done means that the exchange was answered; an
// error is turned into an answer by the site (see Error).
type Handler interface {
	Handle(x *Exchange) (done bool, err error)
}

// ResponseHook is called once, before the head of the final answer leaves.
type ResponseHook interface{ OnResponse(x *Exchange) }

// Body is a message body being read, by copying (Read) or by borrowing (Next).
// Both give io.EOF at the clean end only. Trailer is good after io.EOF. Close
// tells that the rest is not wanted: the codec then drains or cuts the
// connection. A Body is read by one goroutine at a time.
type Body interface {
	io.ReadCloser
	// Next gives the next stretch of the body, borrowed until the next call
	// of Next or Read.
	Next() ([]byte, error)
	Trailer() *Header
}

// NoBody is the body of a message that has none.
var NoBody Body = noBody{}

type noBody struct{}

func (noBody) Read([]byte) (int, error) { return 0, io.EOF }
func (noBody) Next() ([]byte, error)    { return nil, io.EOF }
func (noBody) Close() error             { return nil }
func (noBody) Trailer() *Header         { return nil }

// Responder sends the answer to the client; one implementation a codec.
// Exchange's methods wrap it; modules call those.
type Responder interface {
	// Inform sends an interim answer (1xx, except 101).
	Inform(status int, h *Header) error
	// Start takes Resp's head. It may be held back until the first Flush,
	// a full buffer, or Finish, so that head and body leave together.
	Start() error
	// Write sends body bytes; what is written beyond Resp.ContentLength is an error.
	Write(p []byte) (int, error)
	// Relay copies exactly n bytes (n ≥ 0), or all until io.EOF (n < 0),
	// from src, without copying through user space where both ends allow it.
	Relay(src io.Reader, n int64) (int64, error)
	Flush() error
	// Finish ends the answer, with Resp.Trailer where the protocol has trailers.
	Finish() error
	// Abort cuts the answer so that the client cannot take it for complete.
	Abort(err error)
	// Tunnel switches the client's side to a byte stream, after a 101 or
	// a 2xx to CONNECT has been started; run gets the stream, and what of it
	// was read already, once the codec has let go of the connection, and ends
	// the exchange when it returns.
	Tunnel(run func(client Stream, early []byte))
}

// Stream is a byte stream with half-close: a tunnel's client or server side.
type Stream interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// Side tells whose fault an error is; see Error.
type Side uint8

// The sides.
const (
	SideNone   Side = iota
	SideClient      // the client's side
	SideServer      // the server's side
	SideProxy       // Loadstar itself: a rule, a limit, bad input
)

// Phase tells when an error happened. The letters are those of HAProxy's
// termination state (its configuration manual, "Session state at disconnection").
type Phase byte

// The phases.
const (
	PhaseNone    Phase = '-'
	PhaseRequest Phase = 'R'
	PhaseQueue   Phase = 'Q'
	PhaseConnect Phase = 'C'
	PhaseHeaders Phase = 'H'
	PhaseData    Phase = 'D'
	PhaseLast    Phase = 'L'
	PhaseTarpit  Phase = 'T'
)

// Error is an error of an exchange with its side and phase, from which one
// function (Error.Status and Error.Flags) makes the client's answer and the
// log's termination state.
type Error struct {
	Side    Side
	Phase   Phase
	Timeout bool   // a timeout, rather than a refusal or a break
	Status  int    // the answer to give; 0: chosen by side and phase
	Cause   string // short and stable, for logs and the X-Loadstar-Error of tests
	Err     error
	Stale   bool // a reused connection broke before any answer: safe to send again on another
	Empty   bool // the server closed before any byte of an answer
	Begun   bool // the server may have begun to see the request: not to be repeated unless idempotent
}

// Error gives the cause and what lies beneath.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Cause
	}
	if e.Cause == "" {
		return e.Err.Error()
	}
	return e.Cause + ": " + e.Err.Error()
}

// Unwrap gives the error beneath.
func (e *Error) Unwrap() error { return e.Err }

// StatusCode gives the status to answer with. See the behaviour reference:
// 400 and 408 for the client's request, 503 when no server could be had, 502
// for a broken answer, 504 for a missing one.
func (e *Error) StatusCode() int {
	switch {
	case e.Status != 0:
		return e.Status
	case e.Side == SideClient && e.Timeout:
		return 408
	case e.Side == SideClient:
		return 400
	case e.Phase == PhaseQueue, e.Phase == PhaseConnect:
		return 503
	case e.Side == SideServer && e.Timeout:
		return 504
	case e.Side == SideServer:
		return 502
	default:
		return 500
	}
}

// Flags gives the first two letters of the termination state.
func (e *Error) Flags() (cause, phase byte) {
	cause = '-'
	switch e.Side {
	case SideClient:
		cause = 'C'
		if e.Timeout {
			cause = 'c'
		}
	case SideServer:
		cause = 'S'
		if e.Timeout {
			cause = 's'
		}
	case SideProxy:
		cause = 'P'
	case SideNone:
	}
	phase = byte(e.Phase)
	if phase == 0 {
		phase = '-'
	}
	return cause, phase
}

// ErrAborted is what a body or a responder returns after Abort.
var ErrAborted = errors.New("exchange aborted")

// ErrTooLong is returned for writes beyond the announced length.
var ErrTooLong = errors.New("body longer than its content-length")

// Reset is the error of a stream that was cut with a code (RST_STREAM, RFC 9113
// §7). A codec whose client side has such codes passes it on: what gRPC makes of a
// broken call depends on it.
type Reset struct{ Code uint32 }

// Error names the code.
func (e *Reset) Error() string { return "stream reset with code " + strconv.Itoa(int(e.Code)) }
