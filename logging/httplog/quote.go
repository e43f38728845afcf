package httplog

import (
	"unicode/utf8"
	"unsafe"
)

// quoting is how a value that a client may have chosen is made harmless.
type quoting uint8

const (
	quoted quoting = iota // between quotes, as Apache escapes
	bare                  // the same between blanks: a blank is escaped, nothing is "-"
	inJSON                // in a JSON string
)

const lowerHex = "0123456789abcdef"

// appendQuoted appends s with everything escaped that could end a quoted string,
// a line or a terminal's patience, as Apache does (ap_escape_logitem): \" \\ \n \t
// \r \v \b, and \xhh for other bytes outside of ASCII's printable ones. It adds at
// most limit bytes; an escape is never cut in two.
func appendQuoted(dst, s []byte, limit int, how quoting) []byte {
	if how == inJSON {
		return appendJSON(dst, s, limit)
	}
	if how == bare && len(s) == 0 {
		return append(dst, '-')
	}
	end := len(dst) + limit
	for _, c := range s {
		if plainByte[c] && (c != ' ' || how != bare) {
			if len(dst) >= end {
				return dst
			}
			dst = append(dst, c)
			continue
		}
		short := shortEscape(c)
		switch {
		case short != 0 && len(dst)+2 <= end:
			dst = append(dst, '\\', short)
		case short == 0 && len(dst)+4 <= end:
			dst = append(dst, '\\', 'x', lowerHex[c>>4], lowerHex[c&15])
		default:
			return dst
		}
	}
	return dst
}

// plainByte is what stands in a quoted string as it is.
var plainByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c <= '~' && c != '"' && c != '\\'
	}
	return t
}()

func shortEscape(c byte) byte {
	switch c {
	case '"', '\\':
		return c
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	case '\b':
		return 'b'
	case '\v':
		return 'v'
	default:
		return 0
	}
}

// appendJSON appends s as the inside of a JSON string (RFC 8259 §7), in ASCII; a
// byte that is no UTF-8 becomes U+FFFD. It adds at most limit bytes.
func appendJSON(dst, s []byte, limit int) []byte {
	end := len(dst) + limit
	for i := 0; i < len(s); {
		n := i
		for n < len(s) && plainByte[s[n]] {
			n++
		}
		if room := end - len(dst); n-i > room {
			return append(dst, s[i:i+max(room, 0)]...)
		}
		dst = append(dst, s[i:n]...)
		if i = n; i == len(s) {
			return dst
		}
		c := s[i]
		if c == '"' || c == '\\' {
			if len(dst)+2 > end {
				return dst
			}
			dst = append(dst, '\\', c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		i += size
		switch {
		case r >= 0x10000 && len(dst)+12 <= end:
			r -= 0x10000
			dst = appendUnit(dst, 0xd800+r>>10)
			dst = appendUnit(dst, 0xdc00+r&0x3ff)
		case r < 0x10000 && len(dst)+6 <= end:
			dst = appendUnit(dst, r)
		default:
			return dst
		}
	}
	return dst
}

// appendUnit appends one UTF-16 code unit.
func appendUnit(dst []byte, u rune) []byte {
	return append(dst, '\\', 'u', lowerHex[u>>12&15], lowerHex[u>>8&15], lowerHex[u>>4&15], lowerHex[u&15])
}

// bytesOf views a string as bytes that must not be written to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
