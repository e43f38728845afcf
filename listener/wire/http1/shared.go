package http1

import "github.com/loadstar-lb/loadstar/listener/flow"

// What is asked of a message is the same in every version of HTTP. The other
// codecs ask it here, so that there is one answer.

// CleanValue reports whether p may be a field's value: no control byte but tab.
func CleanValue(p []byte) bool { return cleanValue(p) }

// IsToken reports whether p is a token (RFC 9110 §5.6.2).
func IsToken(p []byte) bool { return isToken(p) }

// ValidHost reports whether h is host[:port] (RFC 3986 §3.2.2).
func ValidHost(h []byte) bool { return validHost(h) }

// Aliased reports whether servers that take "_" for "-" would read the name as
// one of the fields that frame or route a message.
func Aliased(name []byte) bool { return aliased(name) }

// ParseLength reads a Content-Length: digits only.
func ParseLength(v []byte) (int64, bool) { return parseLength(v) }

// Method gives a method as a string without allocating for the usual ones.
func Method(m []byte) string { return internMethod(m) }

// NotTrailing reports whether a field has no business in a trailer section: it
// frames, routes or authenticates a message (RFC 9110 §6.5.1).
func NotTrailing(id flow.ID) bool { return in(notTrailing, id) }

// Announces reports whether the header says, once, that the body has n bytes.
func Announces(h *flow.Header, n int64) bool { return announces(h, n) }
