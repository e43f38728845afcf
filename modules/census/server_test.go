package census

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

func server(weight int) *upstream.Server {
	return &upstream.Server{
		Key: upstream.Key{Pool: "web", Name: "one", Address: "10.0.0.1:80"}, Weight: weight,
		Live: upstream.NewLive(), Group: upstream.NewLive(),
	}
}

// TestStateOf: of several reasons the one that weighs most is told.
func TestStateOf(t *testing.T) {
	down := func(s *upstream.Server) { s.Live.SetVerdict(upstream.Down, "") }
	agent := func(a upstream.Advice) func(*upstream.Server) {
		a.Weight, a.Maxconn = upstream.NoAdvice, upstream.NoAdvice
		return func(s *upstream.Server) { s.Live.Advise(nil, a) }
	}
	for _, c := range []struct {
		name   string
		weight int
		change []func(*upstream.Server)
		want   State
		usable bool
	}{
		{"as it is", 1, nil, Up, true},
		{"a weight of 0", 0, nil, Drain, false},
		{"probes fail", 1, []func(*upstream.Server){down}, Down, false},
		{"disabled and down", 1, []func(*upstream.Server){down, func(s *upstream.Server) { s.Disabled = true }}, Maint, false},
		{"ejected", 1, []func(*upstream.Server){func(s *upstream.Server) { s.Live.Eject() }}, Ejected, false},
		{"ejected and down", 1, []func(*upstream.Server){func(s *upstream.Server) { s.Live.Eject() }, down}, Down, false},
		{"its agent drains it", 1, []func(*upstream.Server){agent(upstream.Advice{Admin: upstream.Drain})}, Drain, false},
		{"its agent says down", 1, []func(*upstream.Server){agent(upstream.Advice{State: upstream.AgentDown, Word: "down"})}, Down, false},
	} {
		s := server(c.weight)
		for _, change := range c.change {
			change(s)
		}
		state, why := StateOf(s)
		v := ServerOf(s, flow.Now())
		if state != c.want || (why == "") != (state == Up) || v.State != state || v.Usable != c.usable {
			t.Errorf("%s: %s (%s), usable %v", c.name, state, why, v.Usable)
		}
	}
}

func TestServerOf(t *testing.T) {
	s := server(3)
	now := flow.Now()
	if v := ServerOf(s, now); v.Probed || v.Check != (LastCheck{}) {
		t.Errorf("never probed: %+v", v.Check)
	}
	s.Live.Checks.Note(upstream.Check{At: now, Took: 3 * time.Millisecond, Good: true, Text: "Layer7 check passed, code: 200"})
	s.Take()
	s.Live.Retries.Add(2)
	s.Count(&flow.Record{Status: 503, BytesIn: 7})
	v := ServerOf(s, now+int64(time.Minute))
	if !v.Probed || !v.Check.Good || v.Check.Took != 3*time.Millisecond || v.Checks.Made != 1 || v.Active != 1 || v.Total != 1 ||
		v.Retries != 2 || v.Classes[5] != 1 || v.BytesIn != 7 || v.Weight != 3 || v.Configured != 3 || v.Share != 3*upstream.ShareScale {
		t.Errorf("%+v", v)
	}
	b, err := json.Marshal(v)
	var got map[string]any
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	// What `loadstar explain --live` and others read since the beginning.
	for _, k := range []string{"pool", "name", "address", "up", "usable", "weight", "share", "active", "queued", "total"} {
		if _, ok := got[k]; !ok {
			t.Errorf("no %q in %s", k, b)
		}
	}
	if err != nil {
		t.Error(err)
	}
}
