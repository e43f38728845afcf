package main

import (
	"os"
	"os/signal"
	"syscall"
)

// order is what a signal, or the process itself, asks of the main loop.
type order int

const (
	sigEnd     order = iota // no more signals
	sigReload               // SIGHUP
	sigReopen               // SIGUSR1
	sigUpgrade              // SIGUSR2
	sigStop                 // SIGTERM, SIGINT
	sigLeave                // another process has taken over
	sigBeat                 // the watchdog asks whether anybody is there
)

// signals are the process's signals, caught before anything else is done, so
// that one sent early is not the end.
type signals struct {
	c     chan os.Signal
	inner chan order // from the process itself
}

func catchSignals() *signals {
	s := &signals{make(chan os.Signal, 16), make(chan order, 4)}
	signal.Notify(s.c, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT)
	return s
}

// next waits for a signal.
func (s *signals) next() order {
	select {
	case o := <-s.inner:
		return o
	case sig, ok := <-s.c:
		switch {
		case !ok:
			return sigEnd
		case sig == syscall.SIGHUP:
			return sigReload
		case sig == syscall.SIGUSR1:
			return sigReopen
		case sig == syscall.SIGUSR2:
			return sigUpgrade
		default:
			return sigStop
		}
	}
}

func (s *signals) stop() {
	signal.Stop(s.c)
	close(s.c)
}
