package pool

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

func TestQueueOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, "queue timeout 1m\nserver a 127.0.0.1:1 maxconn 1\nserver b 127.0.0.1:2 maxconn 1", Deps{})
		a, b := p.Servers()[0], p.Servers()[1]
		acquire(p, &balancer.Ask{})
		acquire(p, &balancer.Ask{})
		var mu sync.Mutex
		var got []string
		// 1 waits for any, 2 for b, 3 for any, 4 for a.
		for i, forced := range []*upstream.Server{nil, b, nil, a} {
			go func() {
				var r flow.Record
				s, err := p.Acquire(&balancer.Ask{Forced: forced}, &r)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				got = append(got, fmt.Sprintf("%d:%s:%d/%d", i+1, s.Name, r.ServerQueue, r.PoolQueue))
				mu.Unlock()
			}()
			synctest.Wait()
		}
		if p.Live().Queued() != 4 || a.Live.Queued() != 1 || b.Live.Queued() != 1 {
			t.Errorf("queued %d, %d, %d", p.Live().Queued(), a.Live.Queued(), b.Live.Queued())
		}
		for _, s := range []*upstream.Server{b, b, a, a} {
			p.Release(s)
			synctest.Wait()
		}
		want := "[1:b:0/0 2:b:0/0 3:a:0/1 4:a:0/0]"
		if fmt.Sprint(got) != want {
			t.Errorf("served %v, want %s", got, want)
		}
		if p.Live().Queued() != 0 || p.Live().Active() != 2 {
			t.Errorf("%d queued, %d active", p.Live().Queued(), p.Live().Active())
		}
	})
}

func TestQueueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, "queue timeout 2s size 2\nserver a 127.0.0.1:1 maxconn 1", Deps{})
		a, _ := acquire(p, &balancer.Ask{})
		gone := make(chan struct{})
		causes := make(chan string, 3)
		wait := func(ask *balancer.Ask, flags string, status int) {
			var r flow.Record
			_, err := p.Acquire(ask, &r)
			if err == nil {
				t.Error("a slot out of nothing")
				return
			}
			if c, ph := err.Flags(); string([]byte{c, ph}) != flags || err.StatusCode() != status {
				t.Errorf("%v: %c%c %d, want %s %d", err, c, ph, err.StatusCode(), flags, status)
			}
			causes <- err.Cause
		}
		start := time.Now()
		go wait(&balancer.Ask{}, "sQ", 503)
		synctest.Wait()
		go wait(&balancer.Ask{Done: gone}, "CQ", 503)
		synctest.Wait()
		go wait(&balancer.Ask{}, "PQ", 503)
		if c := <-causes; c != "queue full" || time.Since(start) != 0 {
			t.Errorf("%q after %v, want at once", c, time.Since(start))
		}
		close(gone)
		if c := <-causes; c != "client left the queue" || time.Since(start) != 0 {
			t.Errorf("%q after %v, want at once", c, time.Since(start))
		}
		if p.Live().Queued() != 1 {
			t.Errorf("%d queued after one left", p.Live().Queued())
		}
		if c := <-causes; c != "queue timeout" || time.Since(start) != 2*second {
			t.Errorf("%q after %v, want 2s", c, time.Since(start))
		}
		p.Release(a)
		if p.Live().Queued() != 0 || p.Live().Active() != 0 {
			t.Errorf("%d queued, %d active", p.Live().Queued(), p.Live().Active())
		}
	})
}

// Who waits for a server that goes down chooses anew; when nobody is left, all
// are told at once; and who comes up serves those who wait.
func TestQueueWhenServersChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, "queue timeout 1m\nserver a 127.0.0.1:1 maxconn 1\nserver b 127.0.0.1:2 maxconn 1",
			Deps{Log: (&logs{}).logger()})
		a, b := p.Servers()[0], p.Servers()[1]
		b.Live.SetVerdict(upstream.Down, "")
		acquire(p, &balancer.Ask{})
		got := make(chan string, 8)
		ask := func(f *upstream.Server) {
			_, name := acquire(p, &balancer.Ask{Forced: f})
			got <- name
		}
		go ask(a)
		synctest.Wait()
		b.Live.SetVerdict(upstream.Up, "")
		synctest.Wait()
		if len(got) != 0 {
			t.Error("who is bound to a took b")
		}
		a.Live.SetVerdict(upstream.Down, "")
		if name := <-got; name != "b" {
			t.Errorf("served by %s", name)
		}
		go ask(nil)
		go ask(b)
		synctest.Wait()
		b.Live.SetVerdict(upstream.Down, "")
		for range 2 {
			if name := <-got; name != "no usable server" {
				t.Errorf("got %s", name)
			}
		}
		if p.Live().Queued() != 0 {
			t.Errorf("%d queued", p.Live().Queued())
		}
	})
}

// Two generations stand in one line: what the new one gives back serves who
// waits in the old one, with the old one's server.
func TestQueueAcrossGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := registry{}
		text := "queue timeout 1m\nserver a 127.0.0.1:1 maxconn 1"
		old := build(t, text, Deps{Live: lives.live})
		first, _ := acquire(old, &balancer.Ask{})
		got := make(chan *upstream.Server, 2)
		ask := func(p *Pool) { s, _ := acquire(p, &balancer.Ask{}); got <- s }
		go ask(old)
		synctest.Wait()
		next := build(t, text+"\nserver n 127.0.0.1:2 maxconn 1", Deps{Live: lives.live})
		go ask(next) // n is free, though somebody waits for a before it
		if s := <-got; s != next.Servers()[1] {
			t.Errorf("got %v", s)
		}
		go ask(next)
		synctest.Wait()
		old.Release(first)
		s := <-got
		if s != old.Servers()[0] {
			t.Errorf("got %v, want the old generation's", s)
		}
		old.Release(s)
		if s := <-got; s != next.Servers()[0] {
			t.Errorf("got %v, want the new generation's", s)
		}
	})
}

func TestMaxqueueSendsElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, "queue timeout 1m\nserver a 127.0.0.1:1 maxconn 1 maxqueue 1\nserver b 127.0.0.1:2 maxconn 1", Deps{})
		a := p.Servers()[0]
		acquire(p, &balancer.Ask{Forced: a})
		go acquire(p, &balancer.Ask{Forced: a})
		synctest.Wait()
		if _, name := acquire(p, &balancer.Ask{Forced: a}); name != "b" {
			t.Errorf("got %s, want b: the line of a is full", name)
		}
		p.Release(a)
		synctest.Wait()
	})
}

func TestMinconnGrowsWithLoad(t *testing.T) {
	p := build(t, "fullconn 10\nserver a 127.0.0.1:1 maxconn 10 minconn 2\nserver b 127.0.0.1:2 weight 0", Deps{})
	a := p.Servers()[0]
	for load, want := range map[int64]int64{0: 2, 1: 2, 3: 3, 9: 9, 10: 10, 50: 10} {
		for range load {
			p.Servers()[1].TakeForced()
		}
		if got := a.Limit(); got != want {
			t.Errorf("limit %d at load %d, want %d", got, load, want)
		}
		for range load {
			p.Servers()[1].Give()
		}
	}
}

// TestQueueModel lets clients come, wait, leave and finish at random in fake
// time, with servers that go down and come up. No slot is lost and none is
// given twice; no server ever has more than its limit.
func TestQueueModel(t *testing.T) {
	for seed := range uint64(6) {
		for _, alg := range []string{"roundrobin", "leastconn", "random", "source"} {
			t.Run(fmt.Sprintf("%s/%d", alg, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { queueModel(t, alg, seed) })
			})
		}
	}
}

func queueModel(t *testing.T, alg string, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 9))
	p := build(t, "balance "+alg+`
		queue timeout 300ms
		server a 127.0.0.1:1 maxconn 2
		server b 127.0.0.1:2 maxconn 3 weight 2
		server c 127.0.0.1:3 maxconn 4 minconn 1
		fullconn 12`, Deps{Log: (&logs{}).logger()})
	var wg sync.WaitGroup
	var mu sync.Mutex
	ends := map[string]int{}
	for range 600 {
		hold, leave := time.Duration(rnd.IntN(200)+1)*time.Millisecond, time.Duration(rnd.IntN(400)+1)*time.Millisecond
		a := &balancer.Ask{}
		if rnd.IntN(3) == 0 {
			a.Forced = p.Servers()[rnd.IntN(3)]
		}
		done := make(chan struct{})
		if rnd.IntN(3) == 0 {
			a.Done = done
			time.AfterFunc(leave, func() { close(done) })
		}
		wg.Go(func() {
			s, name := acquire(p, a)
			mu.Lock()
			ends[name]++
			mu.Unlock()
			if s == nil {
				return
			}
			if n := s.Live.Active(); n > int64(s.Maxconn) {
				t.Errorf("%s has %d of %d", name, n, s.Maxconn)
			}
			time.Sleep(hold)
			p.Release(s)
		})
		if rnd.IntN(40) == 0 {
			s := p.Servers()[rnd.IntN(3)]
			s.Live.SetVerdict(upstream.Verdict(rnd.IntN(2)), "")
		}
		time.Sleep(time.Duration(rnd.IntN(25)) * time.Millisecond)
	}
	for _, s := range p.Servers() {
		s.Live.SetVerdict(upstream.Up, "")
	}
	wg.Wait()
	if n := p.Live().Active(); n != 0 {
		t.Errorf("the pool counts %d slots in use", n)
	}
	for _, s := range p.Servers() {
		if s.Live.Active() != 0 || s.Live.Queued() != 0 {
			t.Errorf("%s: %d in use, %d queued", s.Name, s.Live.Active(), s.Live.Queued())
		}
	}
	total := 0
	for _, n := range ends {
		total += n
	}
	if total != 600 || ends["a"]+ends["b"]+ends["c"] < 200 {
		t.Errorf("ends: %v", ends)
	}
}

// Real goroutines, for the race detector: all slots are back at the end.
func TestQueueUnderContention(t *testing.T) {
	for _, alg := range []string{"roundrobin", "leastconn", "random"} {
		p := build(t, "balance "+alg+"\nserver a 127.0.0.1:1 maxconn 1\nserver b 127.0.0.1:2 maxconn 2", Deps{})
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 300 {
					s, name := acquire(p, &balancer.Ask{})
					if s == nil {
						t.Error(name)
						return
					}
					if n := s.Live.Active(); n > int64(s.Maxconn) {
						t.Errorf("%d slots of %d", n, s.Maxconn)
					}
					p.Release(s)
				}
			})
		}
		wg.Wait()
		if n := p.Live().Active() + p.Live().Queued(); n != 0 {
			t.Errorf("%s: %d left over", alg, n)
		}
	}
}
