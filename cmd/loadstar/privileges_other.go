//go:build !linux

package main

import "errors"

// canDrop tells whether this system lets a process become somebody else for good.
// Elsewhere than on Linux nobody has tried, and rights that are only believed to be
// gone are worse than a start that is refused.
const canDrop = false

func (p *privileges) drop() (kept, err error) {
	return nil, errors.New("only Linux can become " + p.String())
}
