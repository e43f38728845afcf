package http2

import (
	"strconv"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/wire/literal"
)

// staticNames are the indices of field names in HPACK's static table (RFC 7541
// appendix A).
var staticNames = [64]byte{
	flow.FieldCacheControl: 24, flow.FieldContentLength: 28, flow.FieldContentType: 31, flow.FieldDate: 33,
	flow.FieldETag: 34, flow.FieldExpires: 36, flow.FieldLastModified: 44, flow.FieldLocation: 46,
	flow.FieldAccept: 19, flow.FieldAcceptEncoding: 16, flow.FieldAuthorization: 23, flow.FieldCookie: 32, flow.FieldExpect: 35,
	flow.FieldReferer: 51, flow.FieldUserAgent: 58, flow.FieldProxyAuthorization: 49, flow.FieldProxyAuthenticate: 48,
	flow.FieldServer: 54, flow.FieldSetCookie: 55, flow.FieldVary: 59, flow.FieldVia: 60,
}

// Hop are the fields that HTTP/2 has no place for (RFC 9113 §8.2.2).
const Hop = 1<<flow.FieldConnection | 1<<flow.FieldKeepAlive | 1<<flow.FieldProxyConnection |
	1<<flow.FieldTransferEncoding | 1<<flow.FieldUpgrade | 1<<flow.FieldHTTP2Settings

// In reports whether a set of IDs has id.
func In(set uint64, id flow.ID) bool { return id < 64 && set>>id&1 != 0 }

// AppendStatus appends the :status field.
func AppendStatus(b []byte, status int) []byte {
	switch status {
	case 200:
		return append(b, 0x88)
	case 204:
		return append(b, 0x89)
	case 206:
		return append(b, 0x8a)
	case 304:
		return append(b, 0x8b)
	case 400:
		return append(b, 0x8c)
	case 404:
		return append(b, 0x8d)
	case 500:
		return append(b, 0x8e)
	}
	return flow.AppendStatus(append(b, 8, 3), status)
}

// AppendField appends a literal that is not indexed, its name in lower case. The
// table is left empty, so that heads do not depend on the order they are sent in.
func AppendField(b []byte, id flow.ID, name, value []byte) []byte {
	kind := byte(0)
	if flow.Secret(id) {
		kind = 0x10 // never to be indexed (RFC 7541 §7.1.3)
	}
	if i := staticName(id); i > 0 {
		b = literal.AppendInt(b, kind, 4, i)
	} else {
		b = literal.AppendName(append(b, kind), 0, 7, name)
	}
	return append(literal.AppendInt(b, 0, 7, len(value)), value...)
}

func staticName(id flow.ID) int {
	if id < 64 {
		return int(staticNames[id])
	}
	return 0
}

// AppendFields appends the fields that are not in skip.
func AppendFields(b []byte, h *flow.Header, skip uint64) []byte {
	for i := range h.Len() {
		if id, name, value, ok := h.At(i); ok && !In(skip, id) {
			b = AppendField(b, id, name, value)
		}
	}
	return b
}

// AppendLength appends a content-length field.
func AppendLength(b []byte, n int64) []byte {
	var digits [20]byte
	v := strconv.AppendInt(digits[:0], n, 10)
	return AppendField(b, flow.FieldContentLength, nil, v)
}

// AppendLiteral appends a field whose name is the i-th of the static table.
func AppendLiteral[T ~string | ~[]byte](b []byte, i int, value T) []byte {
	return literal.AppendString(literal.AppendInt(b, 0, 4, i), 0, 7, value)
}

// AppendPseudo appends a pseudo-header field that the static table has no name for.
func AppendPseudo(b []byte, name string, value []byte) []byte {
	return literal.AppendString(literal.AppendString(append(b, 0), 0, 7, name), 0, 7, value)
}
