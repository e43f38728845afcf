package handler

import (
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

func TestMonitor(t *testing.T) {
	pools := map[string]*pool.Pool{"web": poolOf(t, nil, "127.0.0.1:1", "127.0.0.1:2"), "api": poolOf(t, nil, "127.0.0.1:3")}
	name := func(s string) []config.Value { return []config.Value{{Text: s}} }
	stopping := false
	env := &Env{
		Site: &config.Site{Body: []config.Node{
			{Word: "handle", Body: []config.Node{{Word: "proxy", Args: name("api")}}},
			{Word: "proxy", Args: name("web")}, {Word: "proxy", Args: name("web")},
		}},
		Pool: func(s string) *pool.Pool { return pools[s] }, Stopping: func() bool { return stopping },
	}
	judge := func(p string, server int, v upstream.Verdict) { pools[p].Servers()[server].Live.SetVerdict(v, "") }
	all, err := Monitor.New(&config.Node{}, env)
	if err != nil {
		t.Fatal(err)
	}
	web, err := Monitor.New(&config.Node{Args: name("web"), Options: []config.Node{{Word: "logged"}}}, env)
	if err != nil {
		t.Fatal(err)
	}
	want := func(about string, allStatus, webStatus int, why string) {
		t.Helper()
		x, r := visit(t, "/lb")
		if done, err := all.Handle(x); !done || err != nil || x.Resp.Status != allStatus || r.body.String() != why || !x.Record.Silent {
			t.Errorf("%s, all: %d %q, %v, silent %v", about, x.Resp.Status, r.body.String(), err, x.Record.Silent)
		}
		x, _ = visit(t, "/lb")
		if _, err := web.Handle(x); err != nil || x.Resp.Status != webStatus || x.Record.Silent {
			t.Errorf("%s, web: %d, %v, silent %v", about, x.Resp.Status, err, x.Record.Silent)
		}
	}
	want("all up", 200, 200, "ready\n")
	judge("web", 0, upstream.Down)
	want("one of two down", 200, 200, "ready\n")
	judge("api", 0, upstream.Down)
	want("a pool down", 503, 200, "pool api has no usable server\n")
	judge("api", 0, upstream.Up)
	judge("web", 1, upstream.Down)
	want("the other pool down", 503, 503, "pool web has no usable server\n")
	judge("web", 0, upstream.Up)
	want("back", 200, 200, "ready\n")
	stopping = true
	want("stopping", 503, 503, "stopping\n")

	stopping = false
	x, r := visit(t, "/lb")
	if n := testing.AllocsPerRun(100, func() {
		begin(t, x, r, "/lb")
		r.body.Reset()
		_, _ = web.Handle(x)
	}); n > 3 { // what `begin` of this test itself allocates
		t.Errorf("%v allocations", n)
	}
}
