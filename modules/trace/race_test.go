//go:build race

package trace

// raceEnabled: the detector has pools forget at random.
const raceEnabled = true
