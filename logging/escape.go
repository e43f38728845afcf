package logging

// Set is the set of bytes that a place in a line cannot hold as they are.
type Set [256]bool

// NewSet gives the set of everything that could break a line or a terminal
// (below 32, above 126), and chars.
func NewSet(chars string) *Set {
	var s Set
	for c := range s {
		s[c] = c < ' ' || c > '~'
	}
	for i := range len(chars) {
		s[chars[i]] = true
	}
	return &s
}

const hexDigits = "0123456789ABCDEF"

// AppendEscaped appends s with each byte of set written #XX (two capital
// hexadecimal digits), as HAProxy's log encoding does (configuration manual, "Custom
// log format"). It stops before dst grows beyond limit bytes; an escape is never
// cut in two.
func AppendEscaped[T ~string | ~[]byte](dst []byte, s T, set *Set, limit int) []byte {
	for len(s) > 0 {
		n := 0
		for n < len(s) && !set[s[n]] {
			n++
		}
		if room := limit - len(dst); n > room {
			return append(dst, s[:max(room, 0)]...)
		}
		dst = append(dst, s[:n]...)
		if n == len(s) {
			break
		}
		if len(dst)+3 > limit {
			break
		}
		c := s[n]
		dst = append(dst, '#', hexDigits[c>>4], hexDigits[c&15])
		s = s[n+1:]
	}
	return dst
}
