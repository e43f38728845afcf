package pool

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

func TestDefaults(t *testing.T) {
	p := build(t, "server s1 127.0.0.1:1", Deps{})
	want := upstream.Timeouts{Connect: 5 * second, FirstByte: 30 * second, Idle: 30 * second,
		Stall: 30 * second, Tunnel: time.Hour, Queue: 5 * second}
	if p.Timeouts != want || p.Servers()[0].Timeouts != want {
		t.Errorf("timeouts %+v, want %+v", p.Timeouts, want)
	}
	if want := (Retry{Max: 3, Redispatch: true, On: ConnectFailure | Once}); !reflect.DeepEqual(p.Retry, want) || p.budget.percent != 20 {
		t.Errorf("retry %+v, budget %d%%", p.Retry, p.budget.percent)
	}
	if s := p.Servers()[0]; s.Weight != 1 || s.Network != "tcp" || s.Dial != "127.0.0.1:1" {
		t.Errorf("server %+v", s)
	}
}

func TestOptions(t *testing.T) {
	p := build(t, `
		balance leastconn
		retry 1 redispatch off
		timeout connect 1s
		timeout first_byte 2m
		queue timeout 7s size 3
		fullconn 100
		server s1 unix//run/a.sock weight 9 timeout connect 3s
		server s2 127.0.0.1:2 backup maxconn 10 minconn 2 maxqueue 4 cookie b slow_start 10s source 127.0.0.2
		server s3 127.0.0.1:3 disabled`, Deps{})
	s1, s2 := p.Servers()[0], p.Servers()[1]
	if s1.Network != "unix" || s1.Dial != "/run/a.sock" || s1.Weight != 9 {
		t.Errorf("s1 %+v", s1)
	}
	if s1.Timeouts.Connect != 3*second || s2.Timeouts.Connect != second || s1.Timeouts.FirstByte != 2*time.Minute {
		t.Errorf("timeouts %+v %+v", s1.Timeouts, s2.Timeouts)
	}
	if !s2.Backup || s2.Maxconn != 10 || s2.Minconn != 2 || s2.Maxqueue != 4 || s2.Cookie != "b" ||
		s2.SlowStart != 10*second || s2.Source.String() != "127.0.0.2" || s2.Fullconn != 100 {
		t.Errorf("s2 %+v", s2)
	}
	if p.Retry.Max != 1 || p.Retry.Redispatch || p.Timeouts.Queue != 7*second || p.queueSize != 3 {
		t.Errorf("retry %+v queue %v %d", p.Retry, p.Timeouts.Queue, p.queueSize)
	}
	if a, b := p.Usable(); a != 1 || b != 1 {
		t.Errorf("%d active, %d backups", a, b)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ text, rule string }{
		{"balance random", "no-usable-server"},
		{"server a 127.0.0.1:1\nserver a 127.0.0.1:2", "duplicate-server"},
		{"server a 127.0.0.1", "bad-address"},
		{"server a 127.0.0.1:1 minconn 3", "minconn-without-maxconn"},
		{"server a 127.0.0.1:1 source 10.0.0.0/8", "bad-address"},
		{"server a 127.0.0.1:1\nhealth http GET nopath", "bad-health"},
		{"server a 127.0.0.1:1\nhealth http expect 2000", "bad-health"},
		{"server a unix//x\nhealth tcp port 80", "bad-health"},
		{"server a 127.0.0.1:1 cookie a;b\npersist cookie S insert", "bad-persist"},
	} {
		p, errs := New(parse(t, "p", c.text), Deps{})
		if p != nil || len(errs) == 0 || errs[0].Rule != c.rule {
			t.Errorf("%q: %v, want %s", c.text, errs, c.rule)
		}
	}
}

// Every default of the vocabulary reads, and every word says what it is.
func TestVocabulary(t *testing.T) {
	var walk func(path string, w *spec.Word)
	walk = func(path string, w *spec.Word) {
		path += " " + w.Name
		if w.Doc == "" || strings.HasSuffix(w.Doc, ".") {
			t.Errorf("%s: needs a one-line doc without a full stop", path)
		}
		if w.Default != "" {
			if len(w.Args) == 0 {
				t.Errorf("%s: a default without an argument", path)
				return
			}
			a := &w.Args[0]
			if v := value(a, w.Default); (a.Kind == spec.Duration || a.Kind == spec.Int) && v.Int == 0 && w.Default != "0" {
				t.Errorf("%s: default %q does not read", path, w.Default)
			}
		}
		for i := range w.Args {
			if w.Args[i].Doc == "" {
				t.Errorf("%s: argument %s has no doc", path, w.Args[i].Name)
			}
		}
		for i := range w.Options {
			walk(path, &w.Options[i])
		}
		for i := range w.Variants {
			walk(path, &w.Variants[i])
		}
	}
	for _, w := range Words() {
		if w.In != spec.InPool || w.Example == "" {
			t.Errorf("%s: not of pools, or without an example", w.Name)
		}
		walk("", &w)
	}
}

// A slot that is free costs no allocation, with whatever algorithm.
func TestAcquireAllocatesNothing(t *testing.T) {
	for _, alg := range []string{"roundrobin", "leastconn", "random", "source"} {
		p := build(t, "balance "+alg+"\nserver a 127.0.0.1:1 maxconn 5\nserver b 127.0.0.1:2 weight 3\nserver c 127.0.0.1:3", Deps{})
		var r flow.Record
		a := balancer.Ask{}
		if n := testing.AllocsPerRun(200, func() {
			s, err := p.Acquire(&a, &r)
			if err != nil {
				t.Fatal(err)
			}
			p.Report(s, Connected)
			p.Release(s)
		}); n != 0 {
			t.Errorf("%s: %v allocations", alg, n)
		}
		for _, s := range p.Servers() {
			if s.Live.Active() != 0 {
				t.Errorf("%s: %d slots of %s were kept", alg, s.Live.Active(), s.Name)
			}
		}
		if p.Live().Active() != 0 {
			t.Errorf("%s: the pool counts %d", alg, p.Live().Active())
		}
	}
}

func TestAllDownIsSaidAtOnce(t *testing.T) {
	p := build(t, "server a 127.0.0.1:1\nserver b 127.0.0.1:2 weight 0\nserver c 127.0.0.1:3 backup", Deps{})
	if _, name := acquire(p, &balancer.Ask{}); name != "a" {
		t.Fatalf("got %s", name)
	}
	p.Servers()[0].Live.SetVerdict(upstream.Down, "reason: test")
	if _, name := acquire(p, &balancer.Ask{}); name != "c" {
		t.Fatalf("got %s, want the backup", name)
	}
	p.Servers()[2].Live.SetVerdict(upstream.Down, "reason: test")
	var r flow.Record
	_, err := p.Acquire(&balancer.Ask{}, &r)
	if err == nil || err.StatusCode() != 503 {
		t.Fatalf("got %v, want 503", err)
	}
	if c, ph := err.Flags(); c != 'S' || ph != 'C' {
		t.Errorf("flags %c%c, want SC", c, ph)
	}
	// Persistence still goes to the drained one.
	if _, name := acquire(p, &balancer.Ask{Forced: p.Servers()[1]}); name != "b" {
		t.Errorf("persistent traffic went to %s", name)
	}
	p.Servers()[0].Live.SetVerdict(upstream.Up, "reason: test")
	if _, name := acquire(p, &balancer.Ask{}); name != "a" {
		t.Errorf("got %s after it came back", name)
	}
}

func TestChangesAreLoggedOnce(t *testing.T) {
	var out logs
	lives := registry{}
	text := "server a 127.0.0.1:1\nserver b 127.0.0.1:2 backup"
	old := build(t, text, Deps{Live: lives.live, Log: out.logger()})
	p := build(t, text, Deps{Live: lives.live, Log: out.logger()}) // a reload; the old one drains
	if old.Live() != p.Live() {
		t.Fatal("two generations do not share the pool's Live")
	}
	why := `reason: Layer4 connection problem, info: "connection refused", check duration: 0ms`
	for range 2 {
		lives[upstream.Key{Pool: "p", Name: "a", Address: "127.0.0.1:1"}].SetVerdict(upstream.Down, why)
	}
	want := `Server p/a is DOWN, ` + strings.ReplaceAll(why, `"`, `\"`) +
		`. 0 active and 1 backup servers left. Running on backup. 0 sessions active, 0 requeued, 0 remaining in queue.`
	if got := out.String(); strings.Count(got, "DOWN") != 1 || !strings.Contains(got, want) {
		t.Errorf("logged:\n%swant once:\n%s", got, want)
	}
	for _, g := range []*Pool{old, p} {
		if _, name := acquire(g, &balancer.Ask{}); name != "b" {
			t.Errorf("got %s", name)
		}
	}
}

// What a line counts is as it is, even while somebody else makes the set new.
func TestLoggedCountsAreCurrent(t *testing.T) {
	var out logs
	p := build(t, "server a 127.0.0.1:1\nserver b 127.0.0.1:2", Deps{Log: out.logger()})
	p.build.Lock()
	p.Servers()[0].Live.SetVerdict(upstream.Down, "reason: test")
	p.build.Unlock()
	if got := out.String(); !strings.Contains(got, "Server p/a is DOWN, reason: test. 1 active and 0 backup servers left.") {
		t.Error(got)
	}
}

func TestPassiveEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logs
		p := build(t, "server a 127.0.0.1:1\nserver b 127.0.0.1:2", Deps{Log: out.logger()})
		a, b := p.Servers()[0], p.Servers()[1]
		for range 2 {
			p.Report(a, ConnectFailed)
		}
		p.Report(a, Connected) // a success between: not in a row
		for range 2 {
			p.Report(a, ConnectFailed)
		}
		if a.Live.Ejected() {
			t.Fatal("ejected without three failures in a row")
		}
		p.Report(a, ConnectFailed)
		share(t, p, 10, map[string]int{"b": 10})
		if a.Live.Verdict() != upstream.Up {
			t.Error("the probes' verdict was touched")
		}
		time.Sleep(upstream.MinEjection)
		synctest.Wait()
		// On trial: one exchange may try it, the others go elsewhere.
		var held []*upstream.Server
		tries := 0
		for range 10 {
			s, _ := acquire(p, &balancer.Ask{})
			held = append(held, s)
			if s == a {
				tries++
			}
		}
		if tries != 1 {
			t.Errorf("%d exchanges tried the server on trial, want 1", tries)
		}
		p.Report(a, ConnectFailed) // the trial: out for twice as long
		for _, s := range held {
			p.Release(s)
		}
		time.Sleep(upstream.MinEjection + upstream.MinEjection/2)
		synctest.Wait()
		share(t, p, 10, map[string]int{"b": 10})
		time.Sleep(upstream.MinEjection)
		synctest.Wait()
		for {
			s, _ := acquire(p, &balancer.Ask{})
			p.Report(s, Connected)
			p.Release(s)
			if s == a {
				break
			}
		}
		share(t, p, 10, map[string]int{"a": 5, "b": 5})
		if got := strings.Count(out.String(), "is out of rotation"); got != 2 {
			t.Errorf("%d lines of ejections:\n%s", got, out.String())
		}
		// The last one usable is never ejected, and an ejected one comes back
		// when nobody else is left.
		for range 3 {
			p.Report(b, ConnectFailed)
		}
		for range 9 {
			p.Report(a, ConnectFailed)
		}
		if a.Live.Ejected() {
			t.Error("the last usable server was ejected")
		}
		a.Live.SetVerdict(upstream.Down, "reason: test")
		share(t, p, 4, map[string]int{"b": 4})
	})
}

// share makes n exchanges one after another.
func share(t *testing.T, p *Pool, n int, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	for range n {
		s, name := acquire(p, &balancer.Ask{})
		got[name]++
		if s != nil {
			p.Release(s)
		}
	}
	for name := range got {
		if got[name] != want[name] {
			t.Errorf("served %v, want %v", got, want)
			return
		}
	}
}

func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := registry{}
		text := "server a 127.0.0.1:1 maxconn 100 slow_start 10s\nserver b 127.0.0.1:2"
		p := build(t, text, Deps{Live: lives.live, Log: (&logs{}).logger()})
		a := p.Servers()[0]
		if a.Live.Ramp() != 100 {
			t.Fatal("a server that was never down starts slowly")
		}
		a.Live.SetVerdict(upstream.Down, "")
		a.Live.SetVerdict(upstream.Up, "reason: test")
		if a.Limit() != 1 {
			t.Errorf("limit %d at first", a.Limit())
		}
		time.Sleep(5*second + 10*time.Millisecond)
		if l := a.Limit(); l < 45 || l > 55 {
			t.Errorf("limit %d after half of the time", l)
		}
		share(t, p, 24, map[string]int{"a": 8, "b": 16})
		// A reload goes on with it.
		q := build(t, text, Deps{Live: lives.live, Log: (&logs{}).logger()})
		_ = p.Close()
		time.Sleep(6 * second)
		if l := a.Limit(); l != 100 {
			t.Errorf("limit %d at the end", l)
		}
		share(t, q, 10, map[string]int{"a": 5, "b": 5})
	})
}
