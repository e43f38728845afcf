// Package literal is what HPACK and QPACK have in common: integers with a prefix
// and strings, which may be coded by Huffman (RFC 7541 §5; RFC 9204 §4.1 takes them
// over).
package literal

import "errors"

// ErrMalformed tells that bytes are no integer, or no string, or a larger one than
// any field section holds.
var ErrMalformed = errors.New("malformed field section")

// AppendInt appends an integer with a prefix of n bits, the first byte's other
// bits being high (RFC 7541 §5.1).
func AppendInt(b []byte, high byte, n uint, v int) []byte {
	limit := 1<<n - 1
	if v < limit {
		return append(b, high|byte(v))
	}
	b = append(b, high|byte(limit))
	for v -= limit; v >= 128; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// AppendString appends a string that is not coded, its length with a prefix of n
// bits (RFC 7541 §5.2). Huffman would save bytes and cost time.
func AppendString[T ~string | ~[]byte](b []byte, high byte, n uint, s T) []byte {
	return append(AppendInt(b, high, n, len(s)), s...)
}

// AppendName appends a field's name as AppendString does, in lower case.
func AppendName(b []byte, high byte, n uint, name []byte) []byte {
	b = AppendInt(b, high, n, len(name))
	at := len(b)
	b = append(b, name...)
	for i, c := range b[at:] {
		if 'A' <= c && c <= 'Z' {
			b[at+i] = c | 0x20
		}
	}
	return b
}

// Int reads an integer with a prefix of n bits.
func Int(p []byte, n uint) (v int, rest []byte, err error) {
	if len(p) == 0 {
		return 0, nil, ErrMalformed
	}
	limit := 1<<n - 1
	v = int(p[0]) & limit
	if p = p[1:]; v < limit {
		return v, p, nil
	}
	for shift := uint(0); shift <= 21; shift += 7 { // more than any section holds
		if len(p) == 0 {
			return 0, nil, ErrMalformed
		}
		b := p[0]
		p = p[1:]
		v += int(b&0x7f) << shift
		if b&0x80 == 0 {
			return v, p, nil
		}
	}
	return 0, nil, ErrMalformed
}

// Text reads a string whose length has a prefix of n bits, the bit before it telling
// whether it is coded, and appends what it stands for.
func Text(dst, p []byte, n uint) (out, rest []byte, err error) {
	if len(p) == 0 {
		return dst, nil, ErrMalformed
	}
	coded := p[0]>>n&1 != 0
	size, p, err := Int(p, n)
	if err != nil || size > len(p) {
		return dst, nil, ErrMalformed
	}
	if !coded {
		return append(dst, p[:size]...), p[size:], nil
	}
	out, ok := appendHuffman(dst, p[:size])
	if !ok {
		return out, nil, ErrMalformed
	}
	return out, p[size:], nil
}
