package literal

import "golang.org/x/net/http2/hpack"

// Huffman codes are read four bits at a time, by a machine whose states are the
// inner nodes of the code's tree (RFC 7541 appendix B). No code is shorter than
// five bits, so that a step gives one byte at most.

type step struct {
	next  uint8
	flags uint8
	sym   byte
}

const (
	stepGives = 1 << iota // a byte
	stepEnds              // what was read since the last byte may be padding
	stepFails             // EOS, which no string may hold (§5.2)
)

// steps is made once, before main, of the codes that x/net knows.
var steps = buildSteps()

// node is one of the tree: a leaf, or an inner one with a number.
type node struct {
	child  [2]*node
	sym    int // of a leaf, -1: EOS
	number uint8
	leaf   bool
	ends   bool
}

func buildSteps() (table [256][16]step) {
	root := &node{}
	for sym := range 256 {
		root.add(codeOf(byte(sym)), sym)
	}
	eos := make([]byte, 30)
	for i := range eos {
		eos[i] = 1
	}
	root.add(eos, -1)
	inner := root.number0(nil, 0, true)
	for _, n := range inner {
		for nibble := range 16 {
			table[n.number][nibble] = n.step(root, nibble)
		}
	}
	return table
}

// codeOf gives a byte's code, a bit an element. Eight codes in a row fill whole
// bytes, so that their length in bytes is a code's in bits.
func codeOf(b byte) []byte {
	eight := string([]byte{b, b, b, b, b, b, b, b})
	enc := hpack.AppendHuffmanString(nil, eight)
	bits := make([]byte, len(enc))
	for i := range bits {
		bits[i] = enc[i/8] >> (7 - i%8) & 1
	}
	return bits
}

func (n *node) add(code []byte, sym int) {
	for _, bit := range code {
		if n.child[bit] == nil {
			n.child[bit] = &node{}
		}
		n = n.child[bit]
	}
	n.leaf, n.sym = true, sym
}

// number0 numbers the inner nodes, the root first, and notes at which of them a
// string may end: fewer than eight bits of padding, all of them 1.
func (n *node) number0(inner []*node, depth int, ones bool) []*node {
	n.number, n.ends = uint8(len(inner)), ones && depth < 8
	inner = append(inner, n)
	for bit, c := range n.child {
		if c != nil && !c.leaf {
			inner = c.number0(inner, depth+1, ones && bit == 1)
		}
	}
	return inner
}

func (n *node) step(root *node, nibble int) (s step) {
	for i := 3; i >= 0; i-- {
		n = n.child[nibble>>i&1]
		if n.leaf {
			if n.sym < 0 {
				return step{flags: stepFails}
			}
			s.flags, s.sym = stepGives, byte(n.sym)
			n = root
		}
	}
	s.next = n.number
	if n.ends {
		s.flags |= stepEnds
	}
	return s
}

// appendHuffman appends what a string of codes stands for; false if it is none.
func appendHuffman(dst, src []byte) ([]byte, bool) {
	state, ends := uint8(0), true
	for _, b := range src {
		s := &steps[state][b>>4]
		if s.flags&stepGives != 0 {
			dst = append(dst, s.sym)
		}
		if s.flags&stepFails != 0 {
			return dst, false
		}
		s = &steps[s.next][b&15]
		if s.flags&stepGives != 0 {
			dst = append(dst, s.sym)
		}
		if s.flags&stepFails != 0 {
			return dst, false
		}
		state, ends = s.next, s.flags&stepEnds != 0
	}
	return dst, ends
}
