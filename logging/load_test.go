package logging

import (
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// sluggish takes lines a few at a time and counts them.
type sluggish struct{ taken uint64 }

func (s *sluggish) Deliver(lines []Line) (int, error) {
	n := min(len(lines), 100)
	s.taken += uint64(n)
	time.Sleep(100 * time.Microsecond)
	return n, nil
}
func (*sluggish) Check()        {}
func (*sluggish) Reopen() error { return nil }
func (*sluggish) Close() error  { return nil }

// TestDeliveredAndDroppedAreRequests: under a load that the sinks cannot keep up
// with, and over their end, every request is counted once for each sink.
func TestDeliveredAndDroppedAreRequests(t *testing.T) {
	const clients, each = 8, 20_000
	targets := [2]*sluggish{{}, {}}
	var queues [2]*Queue
	s := &SiteLog{}
	for i, target := range targets {
		queues[i] = NewQueue(Key{Kind: "sluggish"}, target)
		s.outputs = append(s.outputs, &Output{Level: Info, Sink: queues[i], Format: fixedFormat("a line")})
	}
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			r := &flow.Record{Status: 200}
			for n := range each {
				if s.Log(r); i == 0 && n == each/2 {
					_ = queues[1].Close() // as a reload does, in the middle of it
				}
			}
		})
	}
	all.Wait()
	for i, q := range queues {
		_ = q.Close()
		got := q.Stats()
		if got.Held != 0 || got.Delivered+got.Dropped != clients*each || got.Delivered != targets[i].taken {
			t.Errorf("sink %d: %+v, took %d of %d", i, got, targets[i].taken, clients*each)
		}
		if got.Delivered == 0 || got.Dropped == 0 {
			t.Errorf("sink %d saw no load: %+v", i, got)
		}
	}
}
