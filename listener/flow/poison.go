package flow

import "bytes"

// poisoned is what is written over buffers: piece by piece, since the race detector
// looks at each write, and byte by byte it took most of the time of tests.
var poisoned = bytes.Repeat([]byte{0xdb}, 4096)

// Poison overwrites what an exchange was lent and that is given back, so that
// whoever kept a view of it past End fails loudly. Only under the race detector.
func Poison(p []byte) {
	if !Race {
		return
	}
	for len(p) > 0 {
		p = p[copy(p, poisoned):]
	}
}
