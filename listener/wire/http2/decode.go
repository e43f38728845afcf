package http2

import (
	"golang.org/x/net/http2/hpack"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/wire/literal"
)

// Field is a field as it was decoded; its bytes die with the next one.
type Field struct {
	ID          flow.ID
	Name, Value []byte
	// Good is what the Decoder's Check said of it. For what stands in a table
	// it was asked once.
	Good bool
}

// Decoder decodes field blocks (RFC 7541). Unlike x/net's it makes no strings: what
// a block holds costs no allocation.
type Decoder struct {
	Emit  func(f *Field)
	Check func(name, value []byte) bool

	fields  [maxEntries]entry // a ring; the newest at (first+count-1)
	first   int
	count   int
	size    int // as RFC 7541 §4.1 counts it
	max     int
	buf     []byte // names and values, the oldest first
	scratch []byte
	pending []byte // of a block that came in pieces
	f       Field
}

// TableSize is the size of a Decoder's table: what RFC 9113 §6.5.2 has both sides
// begin with.
const TableSize = 4096

// maxEntries is how many fields can be in the table, each counting 32 bytes at least.
const maxEntries = TableSize / 32

// entry is a field of the table.
type entry struct {
	at          uint16 // in buf
	name, value uint16 // lengths
	id          flow.ID
	good        bool
}

// NewDecoder gives a decoder with an empty table.
func NewDecoder(emit func(*Field), check func(name, value []byte) bool) *Decoder {
	return &Decoder{Emit: emit, Check: check, max: TableSize}
}

// static is HPACK's static table (RFC 7541 appendix A), index 1 first.
var static = func() (t [61]Field) {
	i := 0
	d := hpack.NewDecoder(TableSize, func(f hpack.HeaderField) {
		t[i] = Field{ID: flow.Lookup(f.Name), Name: []byte(f.Name), Value: []byte(f.Value), Good: true}
		i++
	})
	for n := range t {
		_, _ = d.Write([]byte{0x81 + byte(n)})
	}
	return t
}()

// Write decodes a piece of a block; last tells that the block is whole. Pieces are
// kept until then: the caller bounds how much they may be.
func (d *Decoder) Write(p []byte, last bool) error {
	if !last || len(d.pending) > 0 {
		d.pending = append(d.pending, p...)
		if !last {
			return nil
		}
		p = d.pending
	}
	err := d.block(p)
	if d.pending = d.pending[:0]; cap(d.pending) > TableSize {
		d.pending = nil
	}
	return err
}

// block decodes a whole block.
func (d *Decoder) block(p []byte) (err error) {
	fields := false
	for len(p) > 0 && err == nil {
		b := p[0]
		switch {
		case b&0x80 != 0: // §6.1
			fields = true
			p, err = d.indexed(p)
		case b&0xc0 == 0x40: // §6.2.1
			fields = true
			p, err = d.literal(p, 6, true)
		case b&0xe0 == 0x20: // §6.3
			var n int
			if n, p, err = literal.Int(p, 5); err == nil && (fields || n > TableSize) {
				err = literal.ErrMalformed // §4.2: at the beginning of a block only
			}
			if err == nil {
				d.max = n
				d.evict(0)
			}
		default: // §6.2.2, §6.2.3
			fields = true
			p, err = d.literal(p, 4, false)
		}
	}
	return err
}

func (d *Decoder) indexed(p []byte) ([]byte, error) {
	i, p, err := literal.Int(p, 7)
	if err != nil {
		return nil, err
	}
	if i == 0 {
		return nil, literal.ErrMalformed
	}
	if i <= len(static) {
		d.Emit(&static[i-1])
		return p, nil
	}
	if !d.entry(i-len(static), &d.f) {
		return nil, literal.ErrMalformed
	}
	d.Emit(&d.f)
	return p, nil
}

// entry fills in the i-th field of the table, 1 being the newest.
func (d *Decoder) entry(i int, f *Field) bool {
	if i > d.count {
		return false
	}
	e := &d.fields[(d.first+d.count-i)%maxEntries]
	name := int(e.at) + int(e.name)
	f.ID, f.Good = e.id, e.good
	f.Name, f.Value = d.buf[e.at:name:name], d.buf[name:name+int(e.value)]
	return true
}

// literal decodes a field that is not in the table, and puts it there if keep.
func (d *Decoder) literal(p []byte, prefix uint, keep bool) ([]byte, error) {
	i, p, err := literal.Int(p, prefix)
	if err != nil {
		return nil, err
	}
	f := &d.f
	d.scratch = d.scratch[:0]
	switch {
	case i == 0:
		if d.scratch, p, err = literal.Text(d.scratch, p, 7); err != nil {
			return nil, err
		}
	case i <= len(static):
		d.scratch = append(d.scratch, static[i-1].Name...)
	case d.entry(i-len(static), f):
		d.scratch = append(d.scratch, f.Name...)
	default:
		return nil, literal.ErrMalformed
	}
	n := len(d.scratch)
	if d.scratch, p, err = literal.Text(d.scratch, p, 7); err != nil {
		return nil, err
	}
	f.Name, f.Value = d.scratch[:n:n], d.scratch[n:]
	f.ID = flow.LookupBytes(f.Name)
	f.Good = d.Check(f.Name, f.Value)
	if keep {
		d.keep(f)
	}
	d.Emit(f)
	if cap(d.scratch) > 2*TableSize {
		d.scratch = nil
	}
	return p, nil
}

// keep puts a field into the table; one that is larger than the table empties it
// (§4.4).
func (d *Decoder) keep(f *Field) {
	n := len(f.Name) + len(f.Value)
	d.evict(n + 32)
	if n+32 > d.max {
		return
	}
	d.room(n)
	d.fields[(d.first+d.count)%maxEntries] = entry{
		at: uint16(len(d.buf)), name: uint16(len(f.Name)), value: uint16(len(f.Value)), id: f.ID, good: f.Good,
	}
	d.buf = append(append(d.buf, f.Name...), f.Value...)
	d.count++
	d.size += n + 32
}

// evict drops the oldest fields until n more bytes fit.
func (d *Decoder) evict(n int) {
	for d.count > 0 && d.size+n > d.max {
		e := &d.fields[d.first]
		d.size -= int(e.name) + int(e.value) + 32
		d.first = (d.first + 1) % maxEntries
		d.count--
	}
	if d.count == 0 {
		d.buf = d.buf[:0]
	}
}

// room makes room for n bytes behind those of the table, moving them to the front
// when that is worth it: they fill at most half of the buffer's last size.
func (d *Decoder) room(n int) {
	if len(d.buf)+n <= cap(d.buf) {
		return
	}
	from := len(d.buf)
	if d.count > 0 {
		from = int(d.fields[d.first].at)
	}
	live := d.buf[from:]
	size := 512
	for size < 2*(len(live)+n) && size < 2*TableSize {
		size *= 2
	}
	if size > cap(d.buf) {
		d.buf = append(make([]byte, 0, size), live...)
	} else {
		d.buf = d.buf[:copy(d.buf, live)]
	}
	for i := range d.count {
		d.fields[(d.first+i)%maxEntries].at -= uint16(from)
	}
}
