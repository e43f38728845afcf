package http3

import (
	"errors"

	"github.com/loadstar-lb/loadstar/listener/wire/literal"
)

// Decoder reads the fields of an encoded field section (RFC 9204 §4.5) one by
// one. As no dynamic table is allowed, sections do not depend on each other.
type Decoder struct {
	p     []byte
	arena []byte
}

var (
	errDynamic = errors.New("qpack: reference to a dynamic table that was not allowed")
	errIndex   = errors.New("qpack: no such entry in the static table")
)

// Begin takes a section in, which stays borrowed while it is decoded.
func (d *Decoder) Begin(p []byte) error {
	count, p, err := literal.Int(p, 8)
	if err != nil {
		return err
	}
	if count != 0 {
		return errDynamic
	}
	_, d.p, err = literal.Int(p, 7) // Base says nothing where there is no table
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
	i, p, err := literal.Int(d.p, n)
	if err != nil {
		return nil, err
	}
	if d.p = p; i >= len(table) {
		return nil, errIndex
	}
	return &table[i], nil
}

// text appends a string whose length has a prefix of n bits.
func (d *Decoder) text(n uint) (err error) {
	d.arena, d.p, err = literal.Text(d.arena, d.p, n)
	return err
}
