package transport

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// shareable is a connection that exchanges share.
type shareable interface {
	comparable
	tag() label
	roomy() bool // a stream can be opened now
	retire()     // lets go of it once its streams have ended
}

// sharing is the connections of one key that exchanges share, and find without a
// lock.
type sharing[M shareable] struct {
	list  atomic.Pointer[[]M]
	room  atomic.Int64 // streams that the server took on a connection, the last time; 0: not known
	mu    sync.Mutex
	dials []*dialing[M]
	gone  bool // closed for good
}

// dialing is a connection in the making. Exchanges that come meanwhile wait for it
// rather than make one each.
type dialing[M shareable] struct {
	label
	waiting int
	done    chan struct{}
	// Good after done:
	m     M // nil without a fault: the server speaks HTTP/1
	fault *flow.Error
}

// tag gives the label of what it is embedded in.
func (l label) tag() label { return l }

func (s *sharing[M]) all() []M {
	if l := s.list.Load(); l != nil {
		return *l
	}
	return nil
}

// add puts a connection into the list; mu is held.
func (s *sharing[M]) add(m M) {
	l := append(slices.Clone(s.all()), m)
	s.list.Store(&l)
}

// remove forgets a connection that takes no more streams.
func (s *sharing[M]) remove(m M) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := slices.DeleteFunc(slices.Clone(s.all()), func(o M) bool { return o == m })
	s.list.Store(&l)
}

// join makes a connection, or waits for one that is being made and that has room.
func (s *sharing[M]) join(who label, dial func() (M, *flow.Error)) (M, *flow.Error) {
	var none M
	room := int(s.room.Load())
	if room == 0 {
		room = maxStreams
	}
	s.mu.Lock()
	for _, d := range s.dials {
		if d.label == who && d.waiting < room {
			d.waiting++
			s.mu.Unlock()
			<-d.done
			if d.fault != nil {
				fault := *d.fault // whoever waits may add to it
				return none, &fault
			}
			return d.m, nil
		}
	}
	for _, m := range s.all() { // one may have been made since the caller looked
		if m.tag() == who && m.roomy() {
			s.mu.Unlock()
			return m, nil
		}
	}
	d := &dialing[M]{label: who, waiting: 1, done: make(chan struct{})}
	s.dials = append(s.dials, d)
	s.mu.Unlock()

	d.m, d.fault = dial()
	s.mu.Lock()
	s.dials = slices.DeleteFunc(s.dials, func(o *dialing[M]) bool { return o == d })
	if d.m != none && d.m.roomy() {
		s.add(d.m)
		if s.gone {
			d.m.retire()
		}
	}
	s.mu.Unlock()
	close(d.done)
	return d.m, d.fault
}

// drop lets the connections go once their exchanges have ended.
func (s *sharing[M]) drop(forever bool) {
	s.mu.Lock()
	s.gone = s.gone || forever
	all := s.all()
	s.list.Store(nil)
	s.mu.Unlock()
	for _, m := range all {
		m.retire()
	}
}
