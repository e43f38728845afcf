package health

import (
	"time"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Machine is the rise/fall machine: a counter from 0 to rise+fall-1, up while
// it is at least rise (HAProxy's check->health). A failure takes one, and what
// falls below rise becomes 0; a success adds one, and at rise or above it jumps to
// the maximum. So fall failures in a row bring a settled server down, and rise
// successes in a row bring it back.
type Machine struct {
	Rise, Fall int
	Counter    int
}

// NewMachine starts at rise: up, but a first failure brings it down. An unknown
// server gets traffic at once and loses it at the first doubt.
func NewMachine(rise, fall int) Machine { return Machine{Rise: rise, Fall: fall, Counter: rise} }

// Initial is the state of a server before its first probe (HAProxy manual,
// "init-state").
type Initial uint8

// The initial states.
const (
	InitialUp   Initial = iota // up, one failure brings it down
	InitialDown                // down, one success brings it up
	FullyUp                    // up, as if it had long been
	FullyDown                  // down, as if it had long been
)

// Begin puts the machine into an initial state.
func (m *Machine) Begin(i Initial) {
	switch i {
	case InitialUp:
		m.Counter = m.Rise
	case InitialDown:
		m.Counter = m.Rise - 1
	case FullyUp:
		m.Counter = m.max()
	case FullyDown:
		m.Counter = 0
	}
}

// Resume starts from what another machine, perhaps with other thresholds, left:
// the verdict is kept, the counter as far as it fits.
func (m *Machine) Resume(v upstream.Verdict, counter int) {
	if v == upstream.Up {
		m.Counter = min(max(counter, m.Rise), m.max())
	} else {
		m.Counter = min(max(counter, 0), m.Rise-1)
	}
}

func (m *Machine) max() int { return m.Rise + m.Fall - 1 }

// Note takes one result and gives the verdict.
func (m *Machine) Note(ok bool) upstream.Verdict {
	switch {
	case ok && m.Counter < m.max():
		m.Counter++
		if m.Counter >= m.Rise {
			m.Counter = m.max()
		}
	case !ok && m.Counter > 0:
		m.Counter--
		if m.Counter < m.Rise {
			m.Counter = 0
		}
	}
	return m.Verdict()
}

// Verdict gives the state.
func (m *Machine) Verdict() upstream.Verdict {
	if m.Counter >= m.Rise {
		return upstream.Up
	}
	return upstream.Down
}

// Status gives the progress as HAProxy logs it: "2/3 UP" has lost one of three
// steps, "1/2 DOWN" has passed one of the two probes it needs.
func (m *Machine) Status() (n, of int) {
	if m.Counter >= m.Rise {
		return m.Counter - m.Rise + 1, m.Fall
	}
	return m.Counter, m.Rise
}

// Next gives the pause until the next probe: the interval when settled up, the
// down interval when settled down, the fast one between.
func (s *Settings) Next(m *Machine) time.Duration {
	d := s.Fast
	switch m.Counter {
	case m.max():
		d = s.Interval
	case 0:
		d = s.Down
	}
	if d == 0 {
		d = s.Interval
	}
	return d
}
