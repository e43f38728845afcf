package pool

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

const threeServers = "\nserver a 127.0.0.1:1\nserver b 127.0.0.1:2\nserver c 127.0.0.1:3"

// answers reports n answers of one status by a server.
func answers(p *Pool, server, n, status int) {
	for range n {
		p.Answered(p.servers[server], status)
	}
}

func usable(p *Pool) (names string) {
	for _, s := range p.servers {
		if s.Usable() {
			names += s.Name
		}
	}
	return names
}

func TestPassiveErrorsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out logs
		p := build(t, "passive layer7 errors 5 time 2s keep 50%"+threeServers, Deps{Log: out.logger()})
		answers(p, 0, 4, 500)
		answers(p, 0, 1, 200) // a success between: not in a row
		answers(p, 0, 4, 503)
		if usable(p) != "abc" {
			t.Fatalf("ejected too early: %s", out.String())
		}
		answers(p, 0, 1, 502)
		answers(p, 0, 50, 502) // those that were under way
		if usable(p) != "bc" {
			t.Fatalf("not ejected: %s", usable(p))
		}
		time.Sleep(2*time.Second + time.Millisecond)
		if usable(p) != "abc" {
			t.Fatal("not back on trial")
		}
		answers(p, 0, 1, 500) // the trial fails: twice as long
		time.Sleep(3 * time.Second)
		if usable(p) != "bc" {
			t.Fatal("the second time was not longer")
		}
		time.Sleep(2 * time.Second)
		answers(p, 0, 1, 200)
		answers(p, 0, 4, 500)
		if usable(p) != "abc" {
			t.Fatal("a trial that went well did not wipe the slate")
		}
		got := out.String()
		if strings.Count(got, "out of rotation") != 2 || strings.Count(got, "back in rotation") != 1 ||
			!strings.Contains(got, "Server p/a is out of rotation for 2s: 5 errors in a row in live traffic, the last one: status 502. 2 active") {
			t.Errorf("logged:\n%s", got)
		}
	})
}

func TestPassiveRatio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, "passive layer7 errors 1000 ratio 50% requests 20 window 8s"+threeServers, Deps{Log: (&logs{}).logger()})
		for range 9 { // 18 of them, half bad: not enough
			answers(p, 0, 1, 200)
			answers(p, 0, 1, 500)
		}
		if usable(p) != "abc" {
			t.Fatal("ejected before there were enough")
		}
		time.Sleep(9 * time.Second) // all that is forgotten
		for range 15 {
			answers(p, 0, 2, 200)
			answers(p, 0, 1, 500)
		}
		if usable(p) != "abc" {
			t.Fatal("ejected with a third of errors")
		}
		time.Sleep(4 * time.Second) // half a window later it counts still
		answers(p, 0, 14, 500)
		if usable(p) != "abc" {
			t.Fatal("ejected with 29 of 59")
		}
		answers(p, 0, 2, 500)
		if usable(p) != "bc" {
			t.Fatal("not ejected with 31 of 61")
		}
	})
}

func TestPassiveKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := build(t, "passive layer7 errors 1 keep 50%"+threeServers, Deps{Log: (&logs{}).logger()})
		for i := range 3 {
			answers(p, i, 3, 500)
		}
		if usable(p) != "bc" {
			t.Errorf("%s left of abc, of which two (half, rounded up) are kept", usable(p))
		}
		p = build(t, "passive layer7 errors 1 keep 0%"+threeServers, Deps{Log: (&logs{}).logger()})
		for i := range 3 {
			answers(p, i, 3, 500)
		}
		if usable(p) != "c" {
			t.Errorf("%s left: the last one always stays", usable(p))
		}
	})
}

// Which statuses and failures count where.
func TestPassiveLayers(t *testing.T) {
	for _, c := range []struct {
		layer string
		do    func(*Pool)
		out   bool
	}{
		{"layer7", func(p *Pool) { p.Answered(p.servers[0], 500) }, true},
		{"layer7", func(p *Pool) { p.Answered(p.servers[0], 501) }, true},
		{"layer7", func(p *Pool) { p.Answered(p.servers[0], 505) }, true},
		{"layer7", func(p *Pool) { p.Answered(p.servers[0], 499) }, false},
		{"layer7", func(p *Pool) { p.Answered(p.servers[0], 100) }, false},
		{"layer7", func(p *Pool) { p.Report(p.servers[0], AnswerFailed) }, true},
		{"layer7", func(p *Pool) { p.Report(p.servers[0], ConnectFailed) }, true},
		{"layer4", func(p *Pool) { p.Answered(p.servers[0], 500) }, false},
		{"layer4", func(p *Pool) { p.Report(p.servers[0], AnswerFailed) }, false},
		{"layer4", func(p *Pool) { p.Report(p.servers[0], ConnectFailed) }, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := build(t, "passive "+c.layer+" errors 1"+threeServers, Deps{Log: (&logs{}).logger()})
			c.do(p)
			if out := usable(p) == "bc"; out != c.out {
				t.Errorf("%+v: %s usable", c, usable(p))
			}
		})
	}
}

func TestPassiveAllocatesNothing(t *testing.T) {
	p := build(t, "passive layer7 errors 1000000 ratio 100%"+threeServers, Deps{})
	s := p.servers[0]
	if n := testing.AllocsPerRun(1000, func() { p.Answered(s, 200); p.Answered(s, 500) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// An agent's words move weight, limit and state; only the opposite word, or a
// configuration without agent, takes them back.
func TestAgentAdvice(t *testing.T) {
	var out logs
	lives := registry{}
	d := Deps{Live: lives.live, Log: out.logger()}
	text := "health agent port 1 interval 1h\nserver a 127.0.0.1:1 weight 10 maxconn 50\nserver b 127.0.0.1:2 weight 10"
	p := build(t, text, d)
	s, by := p.servers[0], p.agents[0]
	none := upstream.Advice{Weight: upstream.NoAdvice, Maxconn: upstream.NoAdvice}
	advise := func(f func(*upstream.Advice)) { a := none; f(&a); s.Live.Advise(by, a) }
	check := func(what string, share int, limit int64, up, usable bool) {
		t.Helper()
		if s.Share() != share*upstream.ShareScale || s.Limit() != limit || s.Up() != up || s.Usable() != usable {
			t.Errorf("%s: share %d limit %d up %v usable %v", what, s.Share(), s.Limit(), s.Up(), s.Usable())
		}
	}
	check("nothing said", 10, 50, true, true)
	advise(func(a *upstream.Advice) { a.Weight, a.Maxconn = 50, 7 })
	check("half", 5, 7, true, true)
	advise(func(a *upstream.Advice) { a.Admin = upstream.Drain })
	check("drain", 5, 7, true, false)
	advise(func(a *upstream.Advice) { a.State, a.Word, a.Why = upstream.AgentDown, "stopped", "disk full" })
	check("stopped", 5, 7, false, false)
	advise(func(a *upstream.Advice) { a.State = upstream.AgentUp })
	check("up, still draining", 5, 7, true, false)
	advise(func(a *upstream.Advice) { a.Admin = upstream.Ready; a.Weight = 0 })
	check("ready, no weight", 0, 7, true, false)
	advise(func(a *upstream.Advice) { a.Weight = 100 })
	check("whole", 10, 7, true, true)
	for range 3 { // the same again is no change
		advise(func(a *upstream.Advice) { a.Weight, a.State, a.Admin = 100, upstream.AgentUp, upstream.Ready })
	}
	if n := strings.Count(out.String(), "its agent says"); n != 6 {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
	if !strings.Contains(out.String(), `Server p/a: its agent says stopped (disk full). 1 active and 0 backup servers left.`) {
		t.Errorf("logged:\n%s", out.String())
	}
	advise(func(a *upstream.Advice) { a.Admin = upstream.Maint })
	share(t, p, 4, map[string]int{"b": 4})
	q := build(t, strings.Replace(text, "health agent port 1 interval 1h", "", 1), d)
	share(t, q, 4, map[string]int{"a": 2, "b": 2})
	if s.Live.Advise(by, upstream.Advice{Weight: 1, Maxconn: 1}) {
		t.Error("an agent that is no longer configured was heeded")
	}
}

// A probe's verdict and the agent's word are both needed.
func TestAgentBesideProbe(t *testing.T) {
	p := build(t, "health tcp interval 1h\nhealth agent port 1 interval 1h"+threeServers, Deps{Log: (&logs{}).logger()})
	if p.monitors[0] == nil || p.agents[0] == nil || p.agents[0].Target.Address != "127.0.0.1:1" {
		t.Fatal("not both")
	}
	live := p.servers[0].Live
	live.SetVerdict(upstream.Down, "reason: test")
	live.Advise(p.agents[0], upstream.Advice{Weight: upstream.NoAdvice, Maxconn: upstream.NoAdvice, State: upstream.AgentUp})
	if usable(p) != "bc" {
		t.Error("an agent's up overruled a probe")
	}
	s, _ := acquire(p, &balancer.Ask{})
	if s.Name == "a" {
		t.Error("a was chosen")
	}
	p.Release(s)
}
