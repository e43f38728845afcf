package http3

import (
	"context"
	"sync"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// watch tells a witness that the client of one stream has left.
type watch struct {
	mu   sync.Mutex
	w    flow.Witness // nil: nobody is to be told any more
	stop func() bool
}

// tell is called when our side of the stream has ended: cut by the client
// (STOP_SENDING, RFC 9000 §3.5), or with the connection.
func (a *watch) tell() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.w != nil {
		a.w.ClientLeft()
	}
}

// end returns when nobody is told any more.
func (a *watch) end() {
	a.stop()
	a.mu.Lock()
	a.w = nil
	a.mu.Unlock()
}

// OnLeave has w told when the client has left; see flow.Exchange. The watch is the
// exchange's own, as one that comes too late must not meet the stream's next.
func (s *stream) OnLeave(w flow.Witness) {
	s.unwatch()
	if w == nil || s.ended {
		return
	}
	a := &watch{w: w}
	a.stop = context.AfterFunc(s.q.Context(), a.tell)
	s.leave = a
}

// unwatch ends what OnLeave began: also before our side ends by our own doing,
// which looks the same.
func (s *stream) unwatch() {
	if a := s.leave; a != nil {
		s.leave = nil
		a.end()
	}
}
