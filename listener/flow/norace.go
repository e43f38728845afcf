//go:build !race

package flow

// Race tells that the race detector is on: it allocates, and has pools forget.
const Race = false
