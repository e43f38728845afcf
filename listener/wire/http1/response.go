package http1

import (
	"bytes"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// ParseResponse parses a whole answer head into r and hd, borrowing from buf.
// The body's framing depends on the request's method: see Framing.
func ParseResponse(buf []byte, fieldLimit int, r *flow.Response, hd *Head) error {
	*hd = Head{}
	r.Header.Reset(buf)
	line := buf[:bytes.IndexByte(buf, '\n')-1]
	if len(line) < 12 || line[8] != ' ' {
		return errStatusLine
	}
	if err := parseVersion(line[:8], &hd.Minor); err != nil {
		return errStatusLine
	}
	status, ok := parseLength(line[9:12])
	if !ok || status < 100 || status > 599 || len(line) > 12 && line[12] != ' ' {
		return errStatusLine
	}
	r.Status, r.Reason = int(status), nil
	if len(line) > 13 {
		if !cleanValue(line[13:]) {
			return errStatusLine
		}
		r.Reason = line[13:]
	}
	if err := hd.fields(buf, len(line)+2, fieldLimit, &r.Header); err != nil {
		return err
	}
	switch {
	case hd.Chunked && hd.ContentLength >= 0:
		return errLengthAndTE
	case hd.Chunked && hd.Minor == 0:
		return errCoding10
	}
	hd.settleUpgrade()
	return nil
}

// Framing is how the end of a body is found.
type Framing uint8

// The framings of RFC 9112 §6.3.
const (
	FrameNone Framing = iota
	FrameLength
	FrameChunked
	FrameClose
)

// Framing tells how an answer to that method is framed.
func (hd *Head) Framing(method string, status int) Framing {
	switch {
	case !flow.BodyAllowed(method, status):
		return FrameNone
	case hd.Chunked:
		return FrameChunked
	case hd.ContentLength == 0:
		return FrameNone
	case hd.ContentLength > 0:
		return FrameLength
	default:
		return FrameClose
	}
}
