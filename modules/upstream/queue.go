package upstream

import (
	"sync"
	"sync/atomic"
)

// Queue orders who waits for a slot of a pool's servers, the highest priority
// first and of equal ones the oldest: one list
// for those whom any server serves, and one in each server's Live for those
// bound to it by a hash or by persistence. It lives in the pool's own Live, so
// that those who wait in a draining generation and those of the new one stand
// in one line.
//
// Only those who have to wait take its lock, and those who give a slot back
// while somebody waits.
type Queue struct {
	mu      sync.Mutex
	all     atomic.Int64 // in all lists
	unbound atomic.Int64 // in anyOf
	tick    uint64
	anyOf   list
}

// Finder finds a generation's Server for a Live, nil if it has none.
type Finder interface{ Find(l *Live) *Server }

// Waiter is one who waits.
type Waiter struct {
	Of    Finder       // the generation that the Waiter belongs to
	For   *Server      // the server it is bound to, nil: any
	Ready chan *Server // gets the server whose slot it has, nil: choose anew; capacity 1
	// Priority puts it before all who have a lower one; 0 is everybody's. It is
	// not to be changed while waiting.
	Priority int

	prev, next *Waiter
	in         *list
	order      uint64
}

// NewWaiter gives one who waits for a slot of whatever server of a generation.
func NewWaiter(of Finder) *Waiter {
	return &Waiter{Of: of, Ready: make(chan *Server, 1)}
}

// Waiting tells how many wait, without the lock.
func (q *Queue) Waiting() int64 { return q.all.Load() }

// AnyWaiting tells how many wait for whatever server, without the lock.
func (q *Queue) AnyWaiting() int64 { return q.unbound.Load() }

// Lock and Unlock guard the lists.
func (q *Queue) Lock() { q.mu.Lock() }

// Unlock lets go of the lists.
func (q *Queue) Unlock() { q.mu.Unlock() }

// before reports whether w is to be served before o.
func (w *Waiter) before(o *Waiter) bool {
	if w.Priority != o.Priority {
		return w.Priority > o.Priority
	}
	return w.order < o.order
}

// First gives who is first in line for whatever server, nil if nobody waits. It
// needs the lock.
func (q *Queue) First() *Waiter { return q.anyOf.head }

// Enter adds a waiter behind all of its priority; ahead is how many of its list are before it.
// A waiter that enters again, to choose anew, keeps its place by age. It needs
// the lock. The count is raised before the caller looks for a free slot: either
// it sees a slot given back meanwhile, or who gave it back sees the count.
func (q *Queue) Enter(w *Waiter, group *Live) (ahead int64) {
	if w.order == 0 {
		q.tick++
		w.order = q.tick
	}
	l := &q.anyOf
	if w.For != nil {
		l = &w.For.Live.waiting
		w.For.Live.Traffic.Queued.Note(w.For.Live.queued.Add(1))
	} else {
		q.unbound.Add(1)
	}
	group.Traffic.Queued.Note(group.queued.Add(1))
	q.all.Add(1)
	return l.insert(w)
}

// Leave removes a waiter; false if it was served already. It needs the lock.
func (q *Queue) Leave(w *Waiter, group *Live) bool {
	if w.in == nil {
		return false
	}
	w.in.remove(w)
	if w.For != nil {
		w.For.Live.queued.Add(-1)
	} else {
		q.unbound.Add(-1)
	}
	group.queued.Add(-1)
	q.all.Add(-1)
	return true
}

// Oldest gives who is first in line for a slot of the server with that Live: who
// has waited longest of those with the highest priority; and the server in the waiter's own generation. Those of a generation that
// does not have the server are passed over. It needs the lock.
func (q *Queue) Oldest(l *Live) (*Waiter, *Server) {
	w := l.waiting.head
	for a := q.anyOf.head; a != nil && (w == nil || a.before(w)); a = a.next {
		if s := a.Of.Find(l); s != nil && s.Usable() {
			return a, s
		}
	}
	if w == nil {
		return nil, nil
	}
	return w, w.For
}

// Expel makes everybody who waits for that very server choose anew; with a nil
// Live, everybody who waits for any.
func (q *Queue) Expel(l, group *Live) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := &q.anyOf
	if l != nil {
		from = &l.waiting
	}
	for from.head != nil {
		w := from.head
		q.Leave(w, group)
		w.Ready <- nil
		n++
	}
	return n
}

// list is a doubly linked list through its waiters, in the order of service.
type list struct {
	head, tail *Waiter
	n          int64
}

// insert puts w behind all that are to be served before it and tells how many
// those are. Others are rare (a waiter that chose anew meets some, and one with a
// priority), so it looks from the end.
func (l *list) insert(w *Waiter) (ahead int64) {
	after, behind := l.tail, int64(0)
	for after != nil && w.before(after) {
		after, behind = after.prev, behind+1
	}
	ahead = l.n - behind
	w.prev, w.in = after, l
	if after == nil {
		w.next, l.head = l.head, w
	} else {
		w.next, after.next = after.next, w
	}
	if w.next == nil {
		l.tail = w
	} else {
		w.next.prev = w
	}
	l.n++
	return ahead
}

func (l *list) remove(w *Waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.in = nil, nil, nil
	l.n--
}
