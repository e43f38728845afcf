package http3

import (
	"errors"

	"golang.org/x/net/http2/hpack"
)

// Decoder reads the fields of an encoded field section (RFC 9204 §4.5) one by
// one. As no dynamic table is allowed, sections do not depend on each other.
type Decoder struct {
	p     []byte
	arena []byte
}

var (
	errTruncated = errors.New("qpack: field section ends inside a field")
	errDynamic   = errors.New("qpack: reference to a dynamic table that was not allowed")
	errIndex     = errors.New("qpack: no such entry in the static table")
	errInteger   = errors.New("qpack: integer too large")
)

// Begin takes a section in, which stays borrowed while it is decoded.
func (d *Decoder) Begin(p []byte) error {
	d.p = p
	count, err := d.integer(8)
	if err != nil {
		return err
	}
	if count != 0 {
		return errDynamic
	}
	_, err = d.integer(7) // Base says nothing where there is no table
	return err
}

// More reports whether there are further fields.
func (d *Decoder) More() bool { return len(d.p) > 0 }

// Next appends the next field's name and value to arena and gives how long the
// name is.
func (d *Decoder) Next(arena []byte) (out []byte, name int, err error) {
	d.arena = arena
	name, err = d.next()
	out, d.arena = d.arena, nil
	return out, name, err
}

func (d *Decoder) next() (name int, err error) {
	at := len(d.arena)
	switch b := d.p[0]; {
	case b&0xc0 == 0xc0: // indexed, static
		f, err := d.static(6)
		if err != nil {
			return 0, err
		}
		d.arena = append(append(d.arena, f.name...), f.value...)
		return len(f.name), nil
	case b&0xd0 == 0x50: // name reference, static
		f, err := d.static(4)
		if err != nil {
			return 0, err
		}
		d.arena = append(d.arena, f.name...)
		return len(f.name), d.text(7)
	case b&0xe0 == 0x20: // literal name
		if err := d.text(3); err != nil {
			return 0, err
		}
		return len(d.arena) - at, d.text(7)
	default:
		return 0, errDynamic
	}
}

func (d *Decoder) static(n uint) (*entry, error) {
	i, err := d.integer(n)
	if err != nil {
		return nil, err
	}
	if i >= uint64(len(table)) {
		return nil, errIndex
	}
	return &table[i], nil
}

// text appends a string whose length has a prefix of n bits, the bit before it
// telling whether it is coded by Huffman.
func (d *Decoder) text(n uint) error {
	if len(d.p) == 0 {
		return errTruncated
	}
	huffman := d.p[0]>>n&1 != 0
	size, err := d.integer(n)
	if err != nil {
		return err
	}
	if size > uint64(len(d.p)) {
		return errTruncated
	}
	s := d.p[:size]
	d.p = d.p[size:]
	if !huffman {
		d.arena = append(d.arena, s...)
		return nil
	}
	_, err = hpack.HuffmanDecode(d, s)
	return err
}

// Write implements io.Writer, for the Huffman decoder alone.
func (d *Decoder) Write(p []byte) (int, error) {
	d.arena = append(d.arena, p...)
	return len(p), nil
}

// integer reads one with a prefix of n bits (RFC 7541 §5.1).
func (d *Decoder) integer(n uint) (uint64, error) {
	if len(d.p) == 0 {
		return 0, errTruncated
	}
	limit := uint64(1)<<n - 1
	v := uint64(d.p[0]) & limit
	d.p = d.p[1:]
	if v < limit {
		return v, nil
	}
	for shift := uint(0); ; shift += 7 {
		if len(d.p) == 0 {
			return 0, errTruncated
		}
		b := d.p[0]
		d.p = d.p[1:]
		if shift > 28 { // nothing that long can be meant
			return 0, errInteger
		}
		v += uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			return v, nil
		}
	}
}
