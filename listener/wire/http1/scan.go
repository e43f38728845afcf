package http1

import (
	"bytes"
	"encoding/binary"
)

// HeadEnd looks for the end of a head (the empty line) in buf, of which the
// first from bytes were looked through before. It gives the head's length with
// the empty line, or 0 and where to go on. A line that ends in a bare LF is
// refused at once, so that such a client is not kept waiting.
func HeadEnd(buf []byte, from int) (end, next int, err error) {
	for {
		i := bytes.IndexByte(buf[from:], '\n')
		if i < 0 {
			return 0, len(buf), nil
		}
		i += from
		if i == 0 || buf[i-1] != '\r' {
			return 0, 0, errLineEnd
		}
		if i >= 3 && buf[i-2] == '\n' || i == 1 {
			return i + 1, 0, nil
		}
		from = i + 1
	}
}

const (
	lsb = 0x0101010101010101
	msb = 0x8080808080808080
)

// cleanValue reports whether p holds no control byte but tab. Eight bytes are
// looked at together; bytes of 0x80 and above (obs-text) are let through.
func cleanValue(p []byte) bool {
	for len(p) >= 8 {
		w := binary.LittleEndian.Uint64(p)
		low := (w - lsb*0x20) &^ w & msb // a byte below 0x20
		del := w ^ lsb*0x7f              // a byte equal to 0x7f
		if low|((del-lsb)&^del&msb) != 0 && !cleanBytes(p[:8]) {
			return false
		}
		p = p[8:]
	}
	return cleanBytes(p)
}

func cleanBytes(p []byte) bool {
	for _, c := range p {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// token marks the bytes of a token (RFC 9110 §5.6.2).
var token = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-0x20] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func isToken(p []byte) bool {
	for _, c := range p {
		if !token[c] {
			return false
		}
	}
	return len(p) > 0
}
