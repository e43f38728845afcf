package listener

import (
	"os"
	"sync"
	"time"
)

const (
	// reserved descriptors are held back, to be given up when there are no others:
	// probes, logs and administration then still work, while nothing is accepted.
	reserved = 8
	// retryEvery is how often an exhausted process looks for relief.
	retryEvery = 100 * time.Millisecond
	// quiet is for how long a second exhaustion is not logged again.
	quiet = 10 * time.Second
)

// reserve holds descriptors back. That they can be taken again is the sign that
// others have become free.
type reserve struct {
	mu     sync.Mutex
	held   []*os.File
	logged time.Time
}

// yield gives the descriptors up; worth tells whether to log it.
func (r *reserve) yield() (worth bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.held {
		_ = f.Close()
	}
	r.held = nil
	if time.Since(r.logged) < quiet {
		return false
	}
	r.logged = time.Now()
	return true
}

// yielded reports whether they are given up at the moment.
func (r *reserve) yielded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held == nil
}

// refill takes them again; false if there are still too few.
func (r *reserve) refill() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.held) < reserved {
		f, err := os.Open(os.DevNull)
		if err != nil {
			for _, f := range r.held {
				_ = f.Close()
			}
			r.held = nil
			return false
		}
		r.held = append(r.held, f)
	}
	return true
}
