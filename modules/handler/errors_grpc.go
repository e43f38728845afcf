package handler

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// isGRPC reports whether a request is a call of gRPC, whose client reads no
// statuses of HTTP (gRPC over HTTP2, "Requests": the content-type begins so, and is
// not that of gRPC-Web, which has no trailers).
func isGRPC(x *flow.Exchange) bool {
	if x.Req.Major < 2 {
		return false
	}
	const kind = "application/grpc"
	v := x.Req.Header.GetID(flow.FieldContentType)
	if len(v) < len(kind) || !flow.EqualFold(v[:len(kind)], kind) {
		return false
	}
	return len(v) == len(kind) || v[len(kind)] == '+' || v[len(kind)] == ';'
}

// The statuses of gRPC that stand for errors of HTTP (its statuscodes.md).
const (
	grpcCancelled         = 1
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

var statusField, messageField = []byte("grpc-status"), []byte("grpc-message")

// grpcStatus gives the status of a call that ended with an error of ours: that of
// gRPC's own table (http-grpc-status-mapping.md), but for timeouts, which Envoy and
// nginx's guide call by their name, and for a stream that the server has reset,
// whose code says more (gRPC over HTTP2, "Errors").
func grpcStatus(x *flow.Exchange, err *flow.Error) int {
	var reset *flow.Reset
	if errors.As(err, &reset) && err.Side == flow.SideServer {
		switch reset.Code {
		case 0x8: // CANCEL
			if overdue(x) {
				return grpcDeadlineExceeded
			}
			return grpcCancelled
		case 0xb: // ENHANCE_YOUR_CALM
			return grpcResourceExhausted
		case 0xc: // INADEQUATE_SECURITY
			return grpcPermissionDenied
		}
	}
	switch err.StatusCode() {
	case 400, 431:
		return grpcInternal
	case 401:
		return grpcUnauthenticated
	case 403:
		return grpcPermissionDenied
	case 404:
		return grpcUnimplemented
	case 408, 504:
		return grpcDeadlineExceeded
	case 413:
		return grpcResourceExhausted
	case 429, 502, 503:
		return grpcUnavailable
	}
	return grpcUnknown
}

// overdue reports that the call's own deadline has passed. A server whose clock says
// so first resets the stream with CANCEL, as gRPC's own in Go does; a client takes
// that for what it is (grpc-go's http2_client.go looks at its deadline, too), so it
// must not hear of a cancelled call instead.
func overdue(x *flow.Exchange) bool {
	d, ok := grpcTimeout(x.Req.Header.Get("grpc-timeout"))
	return ok && flow.Now()-x.Record.Timings.FirstByte >= int64(d)
}

// grpcTimeout reads a value of grpc-timeout: at most eight digits, and a unit (gRPC
// over HTTP2, "Timeout").
func grpcTimeout(v []byte) (d time.Duration, ok bool) {
	if len(v) < 2 || len(v) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(v[:len(v)-1]), 10, 32)
	if err != nil {
		return 0, false
	}
	switch v[len(v)-1] {
	case 'H':
		d = time.Hour
	case 'M':
		d = time.Minute
	case 'S':
		d = time.Second
	case 'm':
		d = time.Millisecond
	case 'u':
		d = time.Microsecond
	case 'n':
		d = time.Nanosecond
	default:
		return 0, false
	}
	if n > uint64(math.MaxInt64/d) { // 99999999H is more than a Duration holds
		return math.MaxInt64, true
	}
	return d * time.Duration(n), true
}

// respondGRPC answers a call with a status of gRPC and nothing else: an answer of
// trailers only.
func respondGRPC(x *flow.Exchange, err *flow.Error) error {
	h := &x.Resp.Header
	x.Resp.Status, x.Resp.Reason, x.Resp.ContentLength = 200, nil, -1
	h.Add("Content-Type", "application/grpc")
	h.AddBytes(statusField, strconv.AppendInt(nil, int64(grpcStatus(x, err)), 10))
	h.AddBytes(messageField, []byte(grpcMessage(err)))
	if err := x.Start(); err != nil {
		return err
	}
	return x.Finish()
}

// grpcMessage says what happened; what no field's value may have, and "%", is
// escaped (gRPC over HTTP2, "Status-Message").
func grpcMessage(err *flow.Error) string {
	text := strconv.Itoa(err.StatusCode())
	if f, ok := faults[err.StatusCode()]; ok {
		text += " " + f.reason
	}
	if err.Cause != "" {
		text += ": " + err.Cause
	}
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			b.WriteByte('%')
			b.WriteByte("0123456789ABCDEF"[c>>4])
			b.WriteByte("0123456789ABCDEF"[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
