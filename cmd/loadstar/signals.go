package main

import (
	"os"
	"os/signal"
	"syscall"
)

// order is what a signal asks for.
type order int

const (
	sigEnd    order = iota // no more signals
	sigReload              // SIGHUP
	sigReopen              // SIGUSR1
	sigStop                // SIGTERM, SIGINT
)

// signals are the process's signals, caught before anything else is done, so
// that one sent early is not the end.
type signals struct{ c chan os.Signal }

func catchSignals() *signals {
	s := &signals{make(chan os.Signal, 16)}
	signal.Notify(s.c, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGINT)
	return s
}

// next waits for a signal.
func (s *signals) next() order {
	switch sig, ok := <-s.c; {
	case !ok:
		return sigEnd
	case sig == syscall.SIGHUP:
		return sigReload
	case sig == syscall.SIGUSR1:
		return sigReopen
	default:
		return sigStop
	}
}

func (s *signals) stop() {
	signal.Stop(s.c)
	close(s.c)
}
