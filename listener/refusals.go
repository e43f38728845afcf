package listener

import (
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// refusalsLogged is how many lines a second a socket may log about connections that
// came to nothing before their protocol began: a flood of them, or a name that has no
// certificate yet and is asked for by everybody, must not fill the log.
const refusalsLogged = 50

// refusals bounds such lines.
type refusals struct {
	mu     sync.Mutex
	since  int64 // when the present second began (flow.Now)
	logged int   // in it
	held   uint64
}

// note counts a refusal. If it may be logged, held is how many were not before it.
func (r *refusals) note(now int64) (held uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since == 0 || now-r.since >= int64(time.Second) {
		r.since, r.logged = now, 0
	}
	if r.logged >= refusalsLogged {
		r.held++
		return 0, false
	}
	r.logged++
	held, r.held = r.held, 0
	return held, true
}

// refuse logs that a connection came to nothing, and why.
func (c *conn) refuse(what string, about ...any) {
	s := c.socket
	held, ok := s.refusals.note(flow.Now())
	if !ok {
		return
	}
	about = append([]any{"socket", s.Key.String()}, about...)
	if held > 0 {
		about = append(about, "not_logged", held)
	}
	s.host.Log.Info(what, about...)
}
