package logging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Line is one line with its severity, without a final newline.
type Line struct {
	Level Level
	Text  []byte
}

// Target is where a Queue takes its lines. Only the queue's goroutine calls it,
// so it may block for a moment; it should not do so for longer than 200 ms.
type Target interface {
	// Deliver writes lines in order and tells how many it wrote: fewer than
	// all after an error, or if they take long. The others are offered
	// again, after a pause if there was an error; if that is
	// ErrUnwritable, the first of them is dropped instead.
	Deliver(lines []Line) (int, error)
	// Check is called before a delivery, at most twice a second, to notice
	// that a file was rotated or a socket replaced.
	Check()
	// Reopen opens a file anew, as log rotation asks for.
	Reopen() error
	Close() error
}

// ErrUnwritable tells that a line can never be written (too long for a datagram),
// however often it is tried.
var ErrUnwritable = errors.New("line cannot be written")

// What a queue takes its time for.
const (
	queueSlots  = 4096                   // lines held; 1.3 MiB, or 40 ms at 100,000 lines/s
	batchLines  = 256                    // lines a Deliver
	linger      = 2 * time.Millisecond   // lines are gathered so long, for fewer writes
	checkEvery  = 500 * time.Millisecond // see Target.Check: half of the second promised
	firstWait   = 10 * time.Millisecond  // after a failed delivery; doubled up to lastWait
	lastWait    = 250 * time.Millisecond
	closeWithin = time.Second
	reportEvery = 10 * time.Second // drops are told about at most so often
)

// Queue is a Sink: a ring, and a goroutine that takes its lines to a Target. While
// the target fails, the ring holds what it can and the rest is dropped.
type Queue struct {
	ring    *ring
	name    Key
	target  Target
	asleep  atomic.Bool   // the goroutine waits for wake
	wake    chan struct{} // buffered: one token
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed by the goroutine's end
	reopen  atomic.Bool
	closing sync.Once
	gaveUp  error // good after done

	delivered atomic.Uint64
	refused   atomic.Uint64 // dropped by callers: full or closed
	given     atomic.Uint64 // dropped by the goroutine
}

// NewQueue starts a sink that takes its lines to target.
func NewQueue(name Key, target Target) *Queue {
	q := &Queue{
		ring: newRing(queueSlots), name: name, target: target,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go (&courier{Queue: q, wait: firstWait}).run()
	return q
}

// Write offers a line.
func (q *Queue) Write(level Level, line []byte) {
	s, pos := q.ring.claim()
	if s == nil {
		q.refused.Add(1)
		return
	}
	s.level = level
	s.line = append(s.line, line...)
	q.publish(s, pos)
}

// Record offers the line that f makes of r, formatted straight into the ring.
func (q *Queue) Record(level Level, f Format, r *flow.Record) {
	s, pos := q.ring.claim()
	if s == nil {
		q.refused.Add(1)
		return
	}
	// Deferred: a slot never published would stop the queue for good, and a
	// panic in a format must not cost more than its line.
	defer q.publish(s, pos)
	s.level = level
	s.line = f.Append(s.line, r)
}

func (q *Queue) publish(s *slot, pos uint64) {
	s.publish(pos)
	q.rouse()
}

// rouse wakes the goroutine if it sleeps; one load if it does not.
func (q *Queue) rouse() {
	if q.asleep.Load() && q.asleep.CompareAndSwap(true, false) {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// Reopen asks for the file to be opened anew; lines offered after the call go to
// the new one.
func (q *Queue) Reopen() {
	q.reopen.Store(true)
	q.rouse()
}

// Stats tells what became of the lines so far.
func (q *Queue) Stats() Stats {
	s := Stats{Dropped: q.refused.Load() + q.given.Load(), Held: q.ring.held()}
	s.Delivered = q.delivered.Load()
	return s
}

// Close ends the sink, waiting at most a second for what it holds.
func (q *Queue) Close() error {
	q.closing.Do(func() {
		q.ring.close()
		close(q.stop)
	})
	// A target stuck in a system call is left behind: no shutdown waits for it.
	timeout := time.NewTimer(closeWithin + lastWait)
	defer timeout.Stop()
	select {
	case <-q.done:
		return q.gaveUp
	case <-timeout.C:
		return fmt.Errorf("log %s: stuck, %d lines given up", q.name, q.ring.held())
	}
}

// report tells about drops and failures through Loadstar's own messages.
func (q *Queue) report(dropped, total uint64, err error) {
	args := []slog.Attr{slog.String("sink", q.name.String())}
	if dropped > 0 {
		args = append(args, slog.Uint64("dropped", dropped), slog.Uint64("total", total))
	}
	if err != nil {
		args = append(args, slog.Any("error", err))
	}
	slog.LogAttrs(context.Background(), slog.LevelWarn, "log sink loses lines or fails", args...)
}
