package flow

import "bytes"

// NextParam cuts the first parameter off a raw query ("a=1&b"): its name and
// value, still escaped, and what is left. Empty parameters are passed over; ok
// is false at the end. A parameter without "=" has a nil value.
func NextParam(query []byte) (name, value, rest []byte, ok bool) {
	for len(query) > 0 {
		p := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			p, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		if len(p) == 0 {
			continue
		}
		if i := bytes.IndexByte(p, '='); i >= 0 {
			return p[:i], p[i+1:], query, true
		}
		return p, nil, query, true
	}
	return nil, nil, nil, false
}

// AppendUnescaped appends a name or value of a query with its escapes undone:
// "%41" and "+", which stands for a blank there (WHATWG URL §5.1). What is no
// escape stays as it is.
func AppendUnescaped(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]):
			c = unhex(b[i+1])<<4 | unhex(b[i+2])
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}

// Escaped reports whether AppendUnescaped would change b.
func Escaped(b []byte) bool {
	for _, c := range b {
		if c == '%' || c == '+' {
			return true
		}
	}
	return false
}

// EqualUnescaped compares a raw name of a query with a plain one.
func EqualUnescaped(raw []byte, plain string) bool {
	n := 0
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(raw) && isHex(raw[i+1]) && isHex(raw[i+2]):
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
		}
		if n >= len(plain) || plain[n] != c {
			return false
		}
		n++
	}
	return n == len(plain)
}

// NextCookie cuts the first pair off the value of a Cookie field (RFC 6265
// §4.2.1, read leniently: blanks around name and value are not part of them,
// a pair without "=" is a name). ok is false at the end.
func NextCookie(field []byte) (name, value, rest []byte, ok bool) {
	for len(field) > 0 {
		p := field
		if i := bytes.IndexByte(field, ';'); i >= 0 {
			p, field = field[:i], field[i+1:]
		} else {
			field = nil
		}
		name = p
		if i := bytes.IndexByte(p, '='); i >= 0 {
			name, value = p[:i], trimBlanks(p[i+1:])
		} else {
			value = nil
		}
		if name = trimBlanks(name); len(name) == 0 && value == nil {
			continue
		}
		return name, value, field, true
	}
	return nil, nil, nil, false
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
