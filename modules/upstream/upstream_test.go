package upstream

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func server(maxconn int) *Server {
	return &Server{Weight: 1, Maxconn: maxconn, Live: NewLive(), Group: NewLive()}
}

func TestSlotsUnderContention(t *testing.T) {
	s := server(3)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				if s.Take() {
					if n := s.Live.Active(); n > 3 {
						t.Errorf("%d slots of 3", n)
					}
					s.Give()
				}
			}
		})
	}
	wg.Wait()
	if s.Live.Active() != 0 || s.Group.Active() != 0 {
		t.Errorf("%d and %d left over", s.Live.Active(), s.Group.Active())
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	s := server(3)
	if n := testing.AllocsPerRun(100, func() { s.Take(); s.Live.Connected(); s.Give() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Only the newest owner's verdicts count, and equal ones are told once.
func TestJudge(t *testing.T) {
	l := NewLive()
	told := 0
	cancel := l.Subscribe(func(Change) { told++ })
	old, now := new(int), new(int)
	l.Own(old)
	l.Own(now)
	if l.Judge(old, Down, "") || l.Verdict() != Up {
		t.Error("one who was taken over from still judges")
	}
	if !l.Judge(now, Down, "") || l.Judge(now, Down, "") || told != 1 || l.Changed() == 0 {
		t.Errorf("told %d times", told)
	}
	cancel()
	l.Judge(now, Up, "")
	if told != 1 {
		t.Error("told after cancel")
	}
}

// The pauses of a server that stays dead: 1, 2, 4, 8, 10, 10 s.
func TestEjectionsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(0)
		var back []time.Duration
		start := time.Now()
		s.Live.Subscribe(func(c Change) {
			if c.Kind == Trials {
				back = append(back, time.Since(start))
				start = time.Now()
			}
		})
		for range Strikes - 1 {
			if s.Live.Strike() {
				t.Error("out too early")
			}
		}
		for range 6 {
			if !s.Live.Strike() {
				t.Error("not out")
			}
			s.Live.Eject()
			s.Live.Eject() // one of several callers wins
			time.Sleep(MaxEjection + time.Millisecond)
			synctest.Wait()
			if s.Live.Ejected() || !s.Take() || s.Take() {
				t.Error("a trial is for one at a time")
			}
			s.Give()
			start = time.Now()
		}
		want := []time.Duration{1, 2, 4, 8, 10, 10}
		if len(back) != len(want) {
			t.Fatalf("back after %v", back)
		}
		for i := range want {
			if back[i] != want[i]*time.Second {
				t.Errorf("back after %v, want %v s", back, want)
			}
		}
		s.Take()
		s.Live.Connected()
		if !s.Take() {
			t.Error("still on trial after a success")
		}
	})
}

// all is a generation that has every server.
type all []*Server

func (a all) Find(l *Live) *Server {
	for _, s := range a {
		if s.Live == l {
			return s
		}
	}
	return nil
}

// The queue against a slice that is searched in full.
func TestQueueModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	group := NewLive()
	q := &group.Queue
	a, b := server(0), server(0)
	gens := []all{{a, b}, {a}}
	var model []*Waiter
	for range 20000 {
		switch rnd.IntN(5) {
		case 0, 1:
			w := NewWaiter(gens[rnd.IntN(2)])
			if rnd.IntN(2) == 0 {
				w.For = a
			}
			w.Priority = rnd.IntN(3)
			q.Enter(w, group)
			at := len(model)
			for at > 0 && model[at-1].Priority < w.Priority {
				at--
			}
			model = slices.Insert(model, at, w)
		case 2:
			if len(model) > 0 {
				i := rnd.IntN(len(model))
				if !q.Leave(model[i], group) || q.Leave(model[i], group) {
					t.Fatal("not there, or there twice")
				}
				model = append(model[:i:i], model[i+1:]...)
			}
		case 3: // chooses anew, and keeps its place
			if len(model) > 0 {
				w := model[rnd.IntN(len(model))]
				q.Leave(w, group)
				w.For = nil
				q.Enter(w, group)
			}
		case 4:
			for _, s := range []*Server{a, b} {
				got, to := q.Oldest(s.Live)
				var want *Waiter
				for _, w := range model {
					if w.For == s || w.For == nil && w.Of.Find(s.Live) != nil {
						want = w
						break
					}
				}
				if got != want || want != nil && to != s {
					t.Fatalf("oldest %p, want %p", got, want)
				}
			}
		}
		if q.Waiting() != int64(len(model)) || group.Queued() != int64(len(model)) {
			t.Fatalf("%d waiting, want %d", q.Waiting(), len(model))
		}
	}
}

func TestUsable(t *testing.T) {
	for _, c := range []struct {
		name       string
		change     func(*Server)
		up, usable bool
	}{
		{"fresh", func(*Server) {}, true, true},
		{"drained", func(s *Server) { s.Weight = 0 }, true, false},
		{"disabled", func(s *Server) { s.Disabled = true }, false, false},
		{"down", func(s *Server) { s.Live.SetVerdict(Down, "") }, false, false},
	} {
		s := server(0)
		c.change(s)
		if s.Up() != c.up || s.Usable() != c.usable {
			t.Errorf("%s: up %v, usable %v", c.name, s.Up(), s.Usable())
		}
	}
}
