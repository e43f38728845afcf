package logging

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// fake is a target under a test's control.
type fake struct {
	mu      sync.Mutex
	fail    error         // given by Deliver
	slow    time.Duration // taken by Deliver
	lines   []string
	tries   []time.Time
	reopens []int // how many lines were there
	checks  int
	closed  bool
}

func (f *fake) Deliver(lines []Line) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tries = append(f.tries, time.Now())
	time.Sleep(f.slow)
	for i, l := range lines {
		if string(l.Text) == "poison" {
			return i, fmt.Errorf("%w: too long", ErrUnwritable)
		}
		if f.fail != nil {
			return i, f.fail
		}
		f.lines = append(f.lines, string(l.Text))
	}
	return len(lines), nil
}
func (f *fake) Check() { f.checks++ }
func (f *fake) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reopens = append(f.reopens, len(f.lines))
	return nil
}
func (f *fake) Close() error { f.closed = true; return nil }

func (f *fake) set(err error) {
	f.mu.Lock()
	f.fail = err
	f.mu.Unlock()
}

// captureSlog has Loadstar's own messages collected during the test.
func captureSlog(t *testing.T) *bytes.Buffer {
	t.Helper()
	var buf bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&buf, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	return &buf
}

func want(t *testing.T, s Sink, wanted Stats) {
	t.Helper()
	if got := s.Stats(); got != wanted {
		t.Errorf("stats %+v, want %+v", got, wanted)
	}
}

func TestQueueDeliversInOrderAndInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		q := NewQueue(Key{Kind: "fake"}, f)
		for i := range 100 {
			q.Write(Info, fmt.Append(nil, i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(f.tries) != 1 {
			t.Errorf("%d deliveries for lines offered at once, want 1", len(f.tries))
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		for i, l := range f.lines {
			if l != fmt.Sprint(i) {
				t.Fatalf("line %d is %q", i, l)
			}
		}
		want(t, q, Stats{Delivered: 100})
		q.Write(Info, []byte("late"))
		want(t, q, Stats{Delivered: 100, Dropped: 1})
		if !f.closed {
			t.Error("the target was not closed")
		}
	})
}

// TestQueueOutage: while the target fails, the ring holds its fill, the rest is dropped and
// counted, the report comes once in ten seconds, and the tries thin out.
func TestQueueOutage(t *testing.T) {
	messages := captureSlog(t)
	synctest.Test(t, func(t *testing.T) {
		f := &fake{fail: errors.New("no such daemon")}
		q := NewQueue(Key{Kind: "fake", Target: "x"}, f)
		before := time.Now()
		for range queueSlots + 500 {
			q.Write(Info, []byte("line"))
		}
		if !time.Now().Equal(before) {
			t.Error("a caller waited")
		}
		time.Sleep(25 * time.Second)
		synctest.Wait()
		want(t, q, Stats{Dropped: 500, Held: queueSlots})
		last := f.tries[len(f.tries)-2:]
		if gap := last[1].Sub(last[0]); gap != lastWait {
			t.Errorf("tries %v apart, want %v", gap, lastWait)
		}
		reports := strings.Count(messages.String(), "\n")
		if reports != 3 {
			t.Errorf("%d reports in 25 s, want 3:\n%s", reports, messages)
		}
		if s := messages.String(); !strings.Contains(s, `sink="fake x"`) || !strings.Contains(s, "no such daemon") ||
			!strings.Contains(s, "dropped=500 total=500") {
			t.Errorf("report: %s", s)
		}
		f.set(nil)
		recovered := time.Now()
		time.Sleep(lastWait)
		synctest.Wait()
		want(t, q, Stats{Delivered: queueSlots, Dropped: 500})
		if d := time.Since(recovered); d > time.Second {
			t.Errorf("took %v to go on", d)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestQueueCloseGivesUp: a dead target holds up a close for a second at most, and what
// it did not take is counted.
func TestQueueCloseGivesUp(t *testing.T) {
	captureSlog(t)
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(Key{Kind: "fake"}, &fake{fail: errors.New("dead")})
		for range 10 {
			q.Write(Info, []byte("line"))
		}
		before := time.Now()
		err := q.Close()
		if err == nil || !strings.Contains(err.Error(), "10 lines given up") || !strings.Contains(err.Error(), "dead") {
			t.Errorf("close gave %v", err)
		}
		if d := time.Since(before); d > closeWithin+lastWait {
			t.Errorf("close took %v", d)
		}
		want(t, q, Stats{Dropped: 10})
		if again := q.Close(); !errors.Is(again, err) {
			t.Errorf("second close gave %v", again)
		}
	})
}

func TestQueueDropsWhatCannotBeWritten(t *testing.T) {
	captureSlog(t)
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		q := NewQueue(Key{Kind: "fake"}, f)
		for _, l := range []string{"a", "poison", "b", "poison", "poison", "c"} {
			q.Write(Info, []byte(l))
		}
		_ = q.Close()
		if got := strings.Join(f.lines, " "); got != "a b c" {
			t.Errorf("delivered %q", got)
		}
		want(t, q, Stats{Delivered: 3, Dropped: 3})
	})
}

type panicking struct{}

func (panicking) Append([]byte, *flow.Record) []byte { panic("format") }

func TestQueueSurvivesAPanickingFormat(t *testing.T) {
	captureSlog(t)
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		q := NewQueue(Key{Kind: "fake"}, f)
		q.Write(Info, []byte("before"))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			q.Record(Info, panicking{}, &flow.Record{})
		}()
		q.Record(Info, fixedFormat("after"), &flow.Record{})
		_ = q.Close()
		if got := strings.Join(f.lines, " "); got != "before after" {
			t.Errorf("delivered %q", got)
		}
		want(t, q, Stats{Delivered: 2, Dropped: 1})
	})
}

// TestQueueReopens: what is offered after Reopen comes after the target's Reopen,
// even to a sink that was idle, and checks come at most twice a second.
func TestQueueReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		q := NewQueue(Key{Kind: "fake"}, f)
		time.Sleep(time.Second)
		q.Reopen()
		q.Write(Info, []byte("new"))
		time.Sleep(time.Second)
		q.Reopen()
		time.Sleep(time.Second)
		synctest.Wait()
		if fmt.Sprint(f.reopens) != "[0 1]" {
			t.Errorf("reopened after %v lines, want [0 1]", f.reopens)
		}
		f.checks = 0
		for range 1000 {
			q.Write(Info, []byte("x"))
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if f.checks < 15 || f.checks > 21 {
			t.Errorf("%d checks in 10 s", f.checks)
		}
		_ = q.Close()
	})
}

// TestQueueIdleCostsNothing: an idle sink makes no calls at all.
func TestQueueIdleCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		q := NewQueue(Key{Kind: "fake"}, f)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(f.tries)+f.checks != 0 {
			t.Errorf("%d deliveries, %d checks", len(f.tries), f.checks)
		}
		_ = q.Close()
	})
}

// null takes everything at once and allocates nothing.
type null struct{}

func (null) Deliver(lines []Line) (int, error) { return len(lines), nil }
func (null) Check()                            {}
func (null) Reopen() error                     { return nil }
func (null) Close() error                      { return nil }

func TestQueueAllocatesNothing(t *testing.T) {
	line := []byte(strings.Repeat("x", 200))
	var f Format = fixedFormat(line) // made an interface once, not once a call
	r := &flow.Record{}
	q := NewQueue(Key{Kind: "null"}, null{})
	if n := testing.AllocsPerRun(20_000, func() { q.Record(Info, f, r); q.Write(Info, line) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
	_ = q.Close()
	dead := NewQueue(Key{Kind: "dead"}, null{})
	_ = dead.Close()
	if n := testing.AllocsPerRun(1000, func() { dead.Record(Info, f, r) }); n != 0 {
		t.Errorf("%v allocations a dropped line", n)
	}
}
