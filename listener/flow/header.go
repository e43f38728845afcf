package flow

import "iter"

// Header is an ordered list of fields over two byte arenas: the head as it was
// read (borrowed from the connection's buffer) and a spill of its own for what
// was added. Fields are small records without pointers, so that a header costs
// the garbage collector nothing. Order and case are kept as they came.
//
// What accessors return is borrowed: it is good until the end of the exchange,
// or until the next Add or Set, whichever comes first.
type Header struct {
	base   []byte
	spill  []byte
	fields []field
}

// field is one line of a header. A deleted field has the id tombstone.
type field struct {
	name, value uint32 // offsets
	valueLen    uint32
	nameLen     uint16
	id          ID
	spilled     bool
}

// Reset empties the header and lends it a new base. Capacity is kept.
func (h *Header) Reset(base []byte) {
	h.base, h.spill, h.fields = base, h.spill[:0], h.fields[:0]
}

// Rebase tells the header that its base moved (a read buffer that grew);
// offsets stay as they are.
func (h *Header) Rebase(base []byte) { h.base = base }

// AddSpan adds a field that lies in the base: its name at [name, name+nameLen),
// its value at [value, value+valueLen). It is for codecs that parse in place.
func (h *Header) AddSpan(id ID, name, nameLen, value, valueLen int) {
	h.fields = append(h.fields, field{
		name: uint32(name), nameLen: uint16(nameLen),
		value: uint32(value), valueLen: uint32(valueLen), id: id,
	})
}

// Add appends a field, copying name and value.
func (h *Header) Add(name, value string) { addCopy(h, Lookup(name), name, value) }

// AddBytes is Add for borrowed bytes.
func (h *Header) AddBytes(name, value []byte) { addCopy(h, LookupBytes(name), name, value) }

// AddID appends a field that has an ID under its canonical name.
func (h *Header) AddID(id ID, value []byte) {
	n, name := len(h.spill), id.Name()
	h.spill = append(append(h.spill, name...), value...)
	h.spilled(id, n, len(name))
}

// spilled adds the field that was just written to the spill at n.
func (h *Header) spilled(id ID, n, nameLen int) {
	h.fields = append(h.fields, field{
		name: uint32(n), nameLen: uint16(nameLen),
		value: uint32(n + nameLen), valueLen: uint32(len(h.spill) - n - nameLen),
		id: id, spilled: true,
	})
}

func addCopy[T ~string | ~[]byte](h *Header, id ID, name, value T) {
	n := len(h.spill)
	h.spill = append(append(h.spill, name...), value...)
	h.spilled(id, n, len(name))
}

// Len is the number of slots, deleted fields included: the bound for At.
func (h *Header) Len() int { return len(h.fields) }

// At gives field i; ok is false when it was deleted.
func (h *Header) At(i int) (id ID, name, value []byte, ok bool) {
	f := &h.fields[i]
	if f.id == tombstone {
		return 0, nil, nil, false
	}
	a := h.base
	if f.spilled {
		a = h.spill
	}
	return f.id, a[f.name : f.name+uint32(f.nameLen)], a[f.value : f.value+f.valueLen], true
}

// IDAt gives the ID of field i, Unknown for names without one, and neither for
// a deleted field. It is small enough to be inlined in walks over the whole header.
func (h *Header) IDAt(i int) ID { return h.fields[i].id }

// NameAt gives the name of field i.
func (h *Header) NameAt(i int) []byte {
	f := &h.fields[i]
	a := h.base
	if f.spilled {
		a = h.spill
	}
	return a[f.name : f.name+uint32(f.nameLen)]
}

// All walks the fields in order.
func (h *Header) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range h.fields {
			if _, n, v, ok := h.At(i); ok && !yield(n, v) {
				return
			}
		}
	}
}

// Get gives the value of the first field with that name, nil if there is none.
// An existing empty value is empty but not nil.
func (h *Header) Get(name string) []byte {
	if i := h.index(Lookup(name), name, 0); i >= 0 {
		_, _, v, _ := h.At(i)
		return v
	}
	return nil
}

// GetID is Get for a well-known field.
func (h *Header) GetID(id ID) []byte {
	for i := range h.fields {
		if h.fields[i].id == id {
			_, _, v, _ := h.At(i)
			return v
		}
	}
	return nil
}

// HasID reports whether a well-known field is there.
func (h *Header) HasID(id ID) bool {
	for i := range h.fields {
		if h.fields[i].id == id {
			return true
		}
	}
	return false
}

// Values walks the values of every field with that name.
func (h *Header) Values(name string) iter.Seq[[]byte] {
	id := Lookup(name)
	return func(yield func([]byte) bool) {
		for i := h.index(id, name, 0); i >= 0; i = h.index(id, name, i+1) {
			if _, _, v, _ := h.At(i); !yield(v) {
				return
			}
		}
	}
}

// Set replaces the first field of that name and deletes the others; it adds the
// field if there was none.
func (h *Header) Set(name, value string) {
	id := Lookup(name)
	i := h.index(id, name, 0)
	if i < 0 {
		h.Add(name, value)
		return
	}
	for j := h.index(id, name, i+1); j >= 0; j = h.index(id, name, j+1) {
		h.DelAt(j)
	}
	h.SetAt(i, value)
}

// SetBytes is Set for a borrowed value.
func (h *Header) SetBytes(name string, value []byte) {
	id := Lookup(name)
	i := h.index(id, name, 0)
	if i < 0 {
		n := len(h.spill)
		h.spill = append(append(h.spill, name...), value...)
		h.spilled(id, n, len(name))
		return
	}
	for j := h.index(id, name, i+1); j >= 0; j = h.index(id, name, j+1) {
		h.DelAt(j)
	}
	setAt(h, i, value)
}

// SetAt replaces the value of field i, keeping its place and its name.
func (h *Header) SetAt(i int, value string) { setAt(h, i, value) }

// SetBytesAt is SetAt for a borrowed value, which must not lie in this header.
func (h *Header) SetBytesAt(i int, value []byte) { setAt(h, i, value) }

func setAt[T ~string | ~[]byte](h *Header, i int, value T) {
	_, name, _, ok := h.At(i)
	if !ok {
		return
	}
	f := &h.fields[i]
	n := len(h.spill)
	h.spill = append(append(h.spill, name...), value...)
	f.name, f.value, f.valueLen, f.spilled = uint32(n), uint32(n+len(name)), uint32(len(value)), true
}

// Extend appends more to the value of field i, keeping its place and its name.
func (h *Header) Extend(i int, more []byte) {
	_, name, value, ok := h.At(i)
	if !ok {
		return
	}
	f := &h.fields[i]
	n := len(h.spill)
	h.spill = append(append(append(h.spill, name...), value...), more...)
	f.name, f.value, f.spilled = uint32(n), uint32(n+len(name)), true
	f.valueLen += uint32(len(more))
}

// Del deletes every field of that name and tells how many there were.
func (h *Header) Del(name string) int {
	n, id := 0, Lookup(name)
	for i := h.index(id, name, 0); i >= 0; i = h.index(id, name, i+1) {
		h.DelAt(i)
		n++
	}
	return n
}

// DelID deletes every field of a well-known name.
func (h *Header) DelID(id ID) {
	for i := range h.fields {
		if h.fields[i].id == id {
			h.fields[i].id = tombstone
		}
	}
}

// DelAt deletes field i.
func (h *Header) DelAt(i int) { h.fields[i].id = tombstone }

// index finds the next field with that name at or after i; names compare
// without regard to ASCII case.
func (h *Header) index(id ID, name string, i int) int {
	for ; i < len(h.fields); i++ {
		f := &h.fields[i]
		if f.id != id || f.id == tombstone {
			continue
		}
		if id != Unknown {
			return i
		}
		if _, n, _, _ := h.At(i); EqualFold(n, name) {
			return i
		}
	}
	return -1
}

// CopyFrom makes h a deep copy of o, for what must outlive the exchange.
func (h *Header) CopyFrom(o *Header) {
	h.Reset(nil)
	for n, v := range o.All() {
		h.AddBytes(n, v)
	}
}
