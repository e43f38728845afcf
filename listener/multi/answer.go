package multi

import (
	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// Final tells what of x.Resp goes into the head of the final answer: the status,
// the content-length that is to be added (-1: none), and the fields to leave out.
func Final(x *flow.Exchange) (status int, length int64, skip uint64) {
	r := &x.Resp
	status, length, skip = r.Status, r.ContentLength, h2.Hop
	switch {
	case Tunnels(x):
		if length = -1; status == 101 {
			status = 200
		}
		skip |= 1<<flow.FieldSecWebSocketAccept | 1<<flow.FieldContentLength
	case r.Status < 200 || r.Status == 204 || r.Status == 304:
		// To a 304 a length may be announced, but net/http's client then misses
		// a body.
		length = -1
	}
	if length >= 0 && wire.Announces(&r.Header, length) {
		return status, -1, skip
	}
	return status, length, skip | 1<<flow.FieldContentLength
}

// HasTrailer reports whether there is a trailer section to send.
func HasTrailer(h *flow.Header) bool {
	for i := range h.Len() {
		if id, _, _, ok := h.At(i); ok && !wire.NotTrailing(id) {
			return true
		}
	}
	return false
}

// Trails reports whether a field may stand in a trailer section.
func Trails(id flow.ID) bool { return !wire.NotTrailing(id) }
