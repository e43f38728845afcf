package logging

import "sync/atomic"

// A ring is a bounded queue of lines with many producers and one consumer, in the
// manner of Vyukov's: each slot carries the turn whose it is, so that a
// producer takes a slot with one compare-and-swap, fills it at leisure, and hands
// it over with one store. Nobody waits for anybody; a full ring refuses.
type ring struct {
	slots []slot
	mask  uint64
	_     [64]byte // tail and head are written by different cores
	tail  atomic.Uint64
	_     [64]byte
	head  atomic.Uint64
}

// slot is one line. Its turn is p when it is free for position p, and p+1 when
// the line of position p is in it.
type slot struct {
	turn  atomic.Uint64
	line  []byte
	level Level
	_     [64 - 8 - 24 - 1]byte // one slot, one cache line
}

// closedBit in tail makes every later claim fail, in one step with reading how
// far the claims got: no line can slip in between.
const closedBit = 1 << 63

// slotBytes is what a slot can hold before it grows. Most lines are shorter; a slot
// that met a longer one keeps its larger buffer.
const slotBytes = 256

// newRing makes a ring of size slots, a power of two.
func newRing(size int) *ring {
	r := &ring{slots: make([]slot, size), mask: uint64(size) - 1}
	arena := make([]byte, size*slotBytes)
	for i := range r.slots {
		r.slots[i].turn.Store(uint64(i))
		r.slots[i].line = arena[i*slotBytes : i*slotBytes : (i+1)*slotBytes]
	}
	return r
}

// claim takes the next free slot for its caller to fill and publish; nil if the
// ring is full or closed.
func (r *ring) claim() (*slot, uint64) {
	for {
		pos := r.tail.Load()
		if pos&closedBit != 0 {
			return nil, 0
		}
		s := &r.slots[pos&r.mask]
		switch turn := s.turn.Load(); {
		case turn == pos:
			if r.tail.CompareAndSwap(pos, pos+1) {
				s.line = s.line[:0]
				return s, pos
			}
		case turn < pos: // still holds the line of the lap before
			return nil, 0
		}
	}
}

func (s *slot) publish(pos uint64) { s.turn.Store(pos + 1) }

// peek appends the lines that are ready, in order, up to dst's capacity. They
// stay good until release.
func (r *ring) peek(dst []Line) []Line {
	for pos := r.head.Load(); len(dst) < cap(dst); pos++ {
		s := &r.slots[pos&r.mask]
		if s.turn.Load() != pos+1 {
			break
		}
		dst = append(dst, Line{s.level, s.line})
	}
	return dst
}

// release frees the slots of the first n lines that peek gave.
func (r *ring) release(n int) {
	pos := r.head.Load()
	for ; n > 0; n-- {
		r.slots[pos&r.mask].turn.Store(pos + r.mask + 1)
		pos++
	}
	r.head.Store(pos)
}

// ready reports whether peek would give a line.
func (r *ring) ready() bool {
	pos := r.head.Load()
	return r.slots[pos&r.mask].turn.Load() == pos+1
}

func (r *ring) close()       { r.tail.Or(closedBit) }
func (r *ring) closed() bool { return r.tail.Load()&closedBit != 0 }

// held counts the lines claimed and not yet released.
func (r *ring) held() uint64 {
	head := r.head.Load() // first: it never overtakes tail
	return r.tail.Load()&^closedBit - head
}
