package http3

import (
	"errors"
	"io"
)

// reader reads a stream of integers and short frames. It has room for a few bytes
// only: each connection has up to three of them that wait all the time.
type reader struct {
	from  io.Reader
	buf   [64]byte
	r, w  int
	err   error // what came with the last bytes
	frame []byte
}

func (r *reader) byte() (byte, error) {
	for r.r == r.w {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.from.Read(r.buf[:])
		if n == 0 && err == nil {
			err = io.ErrNoProgress
		}
		r.r, r.w, r.err = 0, n, err
	}
	r.r++
	return r.buf[r.r-1], nil
}

var errLong = errors.New("http3: integer too long")

// varint reads an integer (RFC 9000 §16).
func (r *reader) varint() (uint64, error) {
	var b [8]byte
	for n := range b {
		c, err := r.byte()
		if err != nil {
			return 0, err
		}
		b[n] = c
		if v, k := Varint(b[:n+1]); k > 0 {
			return v, nil
		}
	}
	return 0, errLong
}

// bytes reads n bytes, which are good until the next call.
func (r *reader) bytes(n int) ([]byte, error) {
	if cap(r.frame) < n {
		r.frame = make([]byte, n)
	}
	p := r.frame[:n]
	for i := range p {
		b, err := r.byte()
		if err != nil {
			return nil, err
		}
		p[i] = b
	}
	return p, nil
}
