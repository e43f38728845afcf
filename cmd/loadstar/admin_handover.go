package main

import (
	"os"

	"github.com/loadstar-lb/loadstar/listener"
)

// hand gives the endpoint's socket for another process; nil if there is none.
func (a *admin) hand() (*os.File, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.l == nil {
		return nil, nil
	}
	return listener.Duplicate(a.l)
}

// leave ends the endpoint once its requests in progress are answered. handed tells
// that the socket is another process's now.
func (a *admin) leave(handed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if handed && a.l != nil {
		listener.Release(a.l)
	}
	a.retire()
	a.server, a.l = nil, nil
}
