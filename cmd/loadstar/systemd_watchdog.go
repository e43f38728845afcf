package main

import (
	"os"
	"strconv"
	"time"
)

// watchdogInterval gives how often systemd wants a sign of life (sd_watchdog_enabled(3));
// 0: not at all. A process that replaces another gets no WATCHDOG_PID.
func watchdogInterval() time.Duration {
	usec, err := strconv.ParseUint(os.Getenv("WATCHDOG_USEC"), 10, 53)
	if err != nil || usec == 0 {
		return 0
	}
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// watchdog tells systemd at half its interval that the process lives: the main loop
// answers, and no socket has connections waiting that nobody takes. A configuration
// that is being loaded does not hold it up.
func (p *process) watchdog(every time.Duration, s *signals, end <-chan struct{}) {
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		if stuck := p.runtime.Stuck(); len(stuck) > 0 {
			p.log.Error("connections wait and nobody takes them", "sockets", stuck)
			continue
		}
		if p.busy.Load() || p.beats(s, every/4) {
			p.notify.alive()
		} else {
			p.log.Error("the main loop does not answer")
		}
	}
}

// beats asks the main loop for a sign of life.
func (p *process) beats(s *signals, patience time.Duration) bool {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case s.inner <- sigBeat:
	case <-t.C:
		return false
	}
	select {
	case <-p.beat:
		return true
	case <-t.C:
		return false
	}
}
