package http3

import (
	"strconv"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/wire/literal"
)

// Heads are encoded with the static table alone and without Huffman: what that
// costs in bytes it saves in time.

// staticNames are the indices of field names in the static table, plus one.
var staticNames = func() (t [64]byte) {
	for i := len(table) - 1; i >= 0; i-- {
		if id := flow.Lookup(table[i].name); id != flow.Unknown && id < 64 {
			t[id] = byte(i + 1)
		}
	}
	return t
}()

// AppendSection begins a field section: neither of its two integers (RFC 9204
// §4.5.1) says anything where there is no dynamic table.
func AppendSection(b []byte) []byte { return append(b, 0, 0) }

// AppendStatus appends the :status field.
func AppendStatus(b []byte, status int) []byte {
	const indexed = 0xc0
	switch status {
	case 200:
		return append(b, indexed|25)
	case 304:
		return append(b, indexed|26)
	case 404:
		return append(b, indexed|27)
	case 503:
		return append(b, indexed|28)
	}
	return flow.AppendStatus(append(b, 0x5f, 24-15, 3), status) // the name of entry 24
}

// Entries of the static table that requests begin with.
const (
	Authority   = 0
	Path        = 1 // "/"
	Method      = 15
	SchemeHTTPS = 23
)

// AppendIndexed appends the i-th field of the static table, below 63, as it is there.
func AppendIndexed(b []byte, i int) []byte { return append(b, 0xc0|byte(i)) }

// AppendMethod appends the :method field.
func AppendMethod(b []byte, method string) []byte {
	for i := Method; table[i].name == ":method"; i++ {
		if table[i].value == method {
			return AppendIndexed(b, i)
		}
	}
	return AppendLiteral(b, Method, method)
}

// AppendLiteral appends a field whose name is the i-th of the static table.
func AppendLiteral[T ~string | ~[]byte](b []byte, i int, value T) []byte {
	return literal.AppendString(literal.AppendInt(b, 0x50, 4, i), 0, 7, value)
}

// AppendPseudo appends a pseudo-header field that the static table has no name for.
func AppendPseudo(b []byte, name string, value []byte) []byte {
	return literal.AppendString(literal.AppendString(b, 0x20, 3, name), 0, 7, value)
}

// AppendField appends a field, its name in lower case.
func AppendField(b []byte, id flow.ID, name, value []byte) []byte {
	never := byte(0)
	if flow.Secret(id) {
		never = 1 // to be indexed (RFC 9204 §7.1.3)
	}
	if i := staticName(id); i >= 0 {
		b = literal.AppendInt(b, 0x50|never<<5, 4, i)
	} else {
		b = literal.AppendName(b, 0x20|never<<4, 3, name)
	}
	return append(literal.AppendInt(b, 0, 7, len(value)), value...)
}

func staticName(id flow.ID) int {
	if id < 64 {
		return int(staticNames[id]) - 1
	}
	return -1
}

// AppendLength appends a content-length.
func AppendLength(b []byte, n int64) []byte {
	var digits [20]byte
	return AppendField(b, flow.FieldContentLength, nil, strconv.AppendInt(digits[:0], n, 10))
}
