package multi

import (
	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// Head is a head, or a trailer section, as it is decoded: its bytes and where
// they lie.
type Head struct {
	Arena []byte // names and values; capacity is kept
	// Err is what is wrong with it, nil if nothing. Further fields change nothing.
	Err *flow.Error
	// Length is the announced content-length, -1 for none.
	Length int64
	// Extended tells of an extended CONNECT (RFC 8441, RFC 9220).
	Extended bool

	fields  flow.Header
	pseudo  [pseudoCount]span
	seen    uint8
	regular bool // a field that is no pseudo-header was seen
	size    int
	lines   int
	cookies int
	host    span
	hosts   int
	expect  span
	accept  [28]byte // the Sec-WebSocket-Accept to come
}

type span struct{ at, n int }

func (h *Head) bytes(s span) []byte { return h.Arena[s.at : s.at+s.n : s.at+s.n] }

// The pseudo-header fields of requests (RFC 9113 §8.3.1, RFC 9114 §4.3.1,
// RFC 8441 §4).
const (
	pseudoMethod = iota
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoProtocol
	pseudoCount
)

func (h *Head) has(i int) bool { return h.seen>>i&1 != 0 }

// Begin readies the head for another message.
func (h *Head) Begin() {
	arena := h.Arena[:0]
	fields := h.fields
	*h = Head{Arena: arena, fields: fields, Length: -1}
	h.fields.Reset(nil)
}

func (h *Head) bad(cause string) { h.Err = BadHead(cause) }

// Good tells whether a field's name and value hold only what they may; of
// pseudo-header fields the names are looked at later. It says nothing of what a
// message has of them, so that it may be asked once for what stands in a table.
func Good(name, value []byte) bool {
	return wire.CleanValue(value) && !h2.Blank(value) &&
		(len(name) > 0 && name[0] == ':' || wire.IsToken(name) && h2.LowerName(name))
}

// Field is one that a decoder has appended to the Arena: its name at At, Name bytes
// long, and behind it all that stands there is its value.
type Field struct {
	At, Name int
	ID       flow.ID
	Good     bool // what Good has said of it
}

// Took takes in the field that was appended last.
func (h *Head) Took(limits *flow.Limits, trailer bool, f Field) {
	name, value := h.Arena[f.At:f.At+f.Name], h.Arena[f.At+f.Name:]
	h.size += len(name) + len(value) + 4
	pseudo := f.Name > 0 && name[0] == ':'
	if !pseudo {
		h.lines++
	}
	if h.size > limits.HeadBytes || h.lines > limits.Fields {
		h.Err = ErrTooLarge
		return
	}
	v := span{f.At + f.Name, len(value)}
	if !f.Good {
		h.bad("malformed field")
		return
	}
	if pseudo {
		h.takePseudo(name, v, trailer)
		return
	}
	h.regular = true
	if !h.note(f.ID, v) || h.Err != nil {
		return
	}
	if h2.Underscored(name) && wire.Aliased(name) {
		return
	}
	h.fields.AddSpan(f.ID, f.At, f.Name, v.at, v.n)
}

func (h *Head) takePseudo(name []byte, v span, trailer bool) {
	i := pseudoCount
	switch string(name) {
	case ":method":
		i = pseudoMethod
	case ":scheme":
		i = pseudoScheme
	case ":authority":
		i = pseudoAuthority
	case ":path":
		i = pseudoPath
	case ":protocol":
		i = pseudoProtocol
	}
	if i == pseudoCount || trailer || h.regular || h.has(i) {
		h.bad("misplaced or unknown pseudo-header field")
		return
	}
	h.seen |= 1 << i
	h.pseudo[i] = v
}

// note takes in what frames and routes; false: the field is not kept.
func (h *Head) note(id flow.ID, v span) bool {
	value := h.bytes(v)
	switch id {
	case flow.FieldTE:
		if !flow.EqualFold(value, "trailers") {
			h.bad("te other than trailers")
		}
	case flow.FieldHTTP2Settings:
		return false
	case flow.FieldContentLength:
		n, ok := wire.ParseLength(value)
		if !ok || h.Length >= 0 {
			h.bad("malformed content-length")
		}
		h.Length = n
	case flow.FieldHost:
		h.hosts++
		h.host = v
		return false // it is written anew
	case flow.FieldCookie:
		h.cookies++
	case flow.FieldExpect:
		h.expect = v
	default:
		if h2.In(h2.Hop, id) { // RFC 9113 §8.2.2, RFC 9114 §4.2
			h.bad("connection-specific field")
		}
	}
	return true
}

// Trailer copies what may stand in a trailer section; false: nothing does.
func (h *Head) Trailer(to *flow.Header) (any bool) {
	to.Reset(nil)
	h.fields.Rebase(h.Arena)
	for i := range h.fields.Len() {
		if id, name, value, ok := h.fields.At(i); ok && !wire.NotTrailing(id) {
			to.AddBytes(name, value)
			any = true
		}
	}
	return any
}
