package multi

import (
	"sync"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Workers serve the streams of one connection, each in a goroutine of its own. A
// busy connection keeps some of them for its next streams: a new one pays for the
// growth of its stack.
type Workers[S any] struct {
	mu    *sync.Mutex // of the connection
	serve func(*S)
	keep  func(idle int) bool
	idle  int
	work  chan *S
	// All counts the streams being served, or about to be, and whatever else the
	// connection must not end before.
	All sync.WaitGroup
}

// Begin readies them. No more than most streams are ever served at a time; keep,
// called with mu held, tells whether one more goroutine is to wait for a stream
// beside those that are idle.
func (w *Workers[S]) Begin(mu *sync.Mutex, most int, serve func(*S), keep func(idle int) bool) {
	w.mu, w.serve, w.keep = mu, serve, keep
	w.work = make(chan *S, most)
}

// Take has a stream served; mu is held.
func (w *Workers[S]) Take(s *S) {
	w.All.Add(1)
	if w.idle > 0 {
		w.idle--
		w.work <- s // there is room
		return
	}
	go w.run(s)
}

// run serves streams until the connection has none for a while.
func (w *Workers[S]) run(s *S) {
	for s != nil {
		w.serve(s)
		w.mu.Lock()
		if !w.keep(w.idle) {
			w.mu.Unlock()
			w.All.Done()
			return
		}
		w.idle++
		w.mu.Unlock()
		w.All.Done()
		s = <-w.work
	}
}

// Dismiss lets idle goroutines go.
func (w *Workers[S]) Dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ; w.idle > 0; w.idle-- {
		w.work <- nil
	}
}

// Serve has an exchange served, or answered for its fault, and sees to it that the
// answer is complete or cut. A tunnel that was opened is still to be run.
func Serve(x *flow.Exchange, by flow.Server, fault *flow.Error) {
	x.Record.Method, x.Record.URI = x.Req.Method, x.Req.Original
	if x.Fault = fault; fault != nil {
		x.Record.Bad = true
		x.Req.Body = flow.NoBody
	}
	by.ServeExchange(x)
	if !x.Finished() {
		x.Abort(flow.ErrAborted)
	}
}
