package handler

import (
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/stats"
)

const (
	// liveEvery is how often an open page gets news: as often as rates are taken.
	liveEvery = time.Second
	// liveFor is how long one answer goes on; the page asks again by itself.
	liveFor = 10 * time.Minute
	// maxLive bounds the pages that are kept up to date at a time. Each costs some
	// milliseconds a second.
	maxLive = 64
)

var errTooManyPages = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 503, Cause: "statistics: too many open pages"}

// follow keeps a page up to date by server-sent events (HTML §9.2). It ends when
// the configuration is replaced or the process stops, so that a page which
// somebody has left open keeps neither from letting go; the page asks again.
func (h *statsPage) follow(x *flow.Exchange) (bool, error) {
	if h.live.Add(1) > maxLive {
		h.live.Add(-1)
		return false, errTooManyPages
	}
	defer h.live.Add(-1)
	secure(x)
	if err := startAnswer(x, "text/event-stream; charset=utf-8"); err != nil || x.Req.Method == "HEAD" {
		_ = x.Finish()
		return true, err
	}
	here := binding(x.Conn)
	live := stats.NewLive(h.show(x))
	news := append(make([]byte, 0, 64<<10), "retry: 2000\n\n"...)
	for end := time.Now().Add(liveFor); ; {
		news = live.Append(news, stats.Of(forOpenPages.of(h.census)))
		if _, err := x.Write(news); err != nil {
			return true, err
		}
		if err := x.Flush(); err != nil {
			return true, err
		}
		news = news[:0]
		for next := time.Now().Add(liveEvery); time.Now().Before(next); {
			if here == nil || binding(x.Conn) != here || here.Draining || time.Now().After(end) {
				return true, x.Finish()
			}
			time.Sleep(min(drainPoll, time.Until(next)))
		}
	}
}

// binding is what serves the connection's socket now; nil of a request that is
// only thought of, as in `loadstar explain`.
func binding(c *flow.Conn) *flow.Binding {
	if c == nil || c.Source == nil {
		return nil
	}
	return c.Source.Load()
}
