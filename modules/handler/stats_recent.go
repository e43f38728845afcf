package handler

import (
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/modules/census"
)

// recent lets open pages share a census: of 10,000 servers it takes tens of
// milliseconds, which sixty pages a second must not each take.
type recent struct {
	mu   sync.Mutex
	from census.Source
	at   time.Time
	last *census.Census
}

// recentFor is for how long a census is news enough.
const recentFor = liveEvery / 2

// of gives a census of a source that is not older than recentFor. It is not to be
// changed: others may be reading it.
func (r *recent) of(from census.Source) *census.Census {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || r.from != from || time.Since(r.at) > recentFor {
		r.last, r.from, r.at = from.Census(), from, time.Now()
	}
	return r.last
}

// forOpenPages is the process's.
var forOpenPages recent
