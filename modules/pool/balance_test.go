package pool

import (
	"fmt"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// algorithms is each algorithm, those that hash in each of their ways.
func algorithms() (out []string) {
	args := map[string]string{"url_param": " u", "header": " X-Key", "hash": " {http.header.X-Key}"}
	for _, m := range balancer.Modules() {
		text := m.Spec.Name + args[m.Spec.Name]
		out = append(out, text)
		if m.Spec.Option("maglev") != nil {
			out = append(out, text+" consistent", text+" maglev")
		}
	}
	return out
}

// spread has n exchanges with different keys served, one at a time, and counts
// who serves them.
func spread(t *testing.T, p *Pool, n int) map[string]int {
	t.Helper()
	count := map[string]int{}
	for i := range n {
		x := &flow.Exchange{Conn: &flow.Conn{}}
		if err := x.Req.Rewrite(fmt.Appendf(nil, "/k%d?u=v%d", i*7919, i)); err != nil {
			t.Fatal(err)
		}
		x.Req.Header.Add("X-Key", fmt.Sprint("key", i*31))
		a := balancer.Ask{Exchange: x}
		if err := a.Client.UnmarshalText(fmt.Appendf(nil, "10.0.%d.%d", i/250, i*37%250)); err != nil {
			t.Fatal(err)
		}
		s, name := acquire(p, &a)
		if s == nil {
			count[name]++
			continue
		}
		count[s.Name]++
		p.Observe(s, flow.Now(), true)
		p.Release(s)
	}
	return count
}

func shape(count map[string]int) string {
	var out []string
	for _, name := range []string{"drained", "off", "a", "b", "spare1", "spare2", "no usable server"} {
		if count[name] > 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

// Whatever the algorithm: weight 0 and maintenance get nothing, backups nothing
// while another one is usable, and then the first of them or all.
func TestEveryAlgorithmHeedsStates(t *testing.T) {
	for _, algorithm := range algorithms() {
		for _, all := range []bool{false, true} {
			text := "balance " + algorithm + `
				server drained 10.0.0.1:80 weight 0
				server off 10.0.0.2:80 disabled
				server a 10.0.0.3:80 weight 3 maxconn 50
				server b 10.0.0.4:80 weight 256
				server spare1 10.0.0.5:80 backup maxconn 50
				server spare2 10.0.0.6:80 backup`
			spares := "spare1"
			if all {
				text += "\nall_backups"
				spares = "spare1 spare2"
			}
			both := "a b"
			if strings.HasPrefix(algorithm, "first") { // whose first one is never full here
				both, spares = "a", "spare1"
			}
			p := build(t, text, Deps{Log: new(logs).logger()})
			check := func(when, want string) {
				t.Helper()
				if got := shape(spread(t, p, 600)); got != want {
					t.Errorf("%s, %s: %s, want %s", algorithm, when, got, want)
				}
			}
			check("all up", both)
			byName(p, "a").Live.SetVerdict(upstream.Down, "test")
			check("a down", "b")
			byName(p, "b").Live.SetVerdict(upstream.Down, "test")
			check("both down", spares)
			byName(p, "spare1").Live.SetVerdict(upstream.Down, "test")
			check("one backup", "spare2")
			byName(p, "spare2").Live.SetVerdict(upstream.Down, "test")
			check("nobody", "no usable server")
			byName(p, "b").Live.SetVerdict(upstream.Up, "test")
			check("b up", "b")
			a := balancer.Ask{Forced: byName(p, "drained")}
			s, _ := acquire(p, &a)
			if s == nil || s.Name != "drained" {
				t.Errorf("%s: a drained server lost those it has", algorithm)
			} else {
				p.Release(s)
			}
		}
	}
}

func byName(p *Pool, name string) *upstream.Server {
	for _, s := range p.Servers() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// A server that starts slowly has its part of the weight, with whatever takes
// weights from the pool as they are now.
func TestEveryAlgorithmHeedsSlowStart(t *testing.T) {
	for _, algorithm := range algorithms() {
		ramps := !strings.HasPrefix(algorithm, "static_rr") && !strings.HasPrefix(algorithm, "first") && !strings.HasPrefix(algorithm, "leastconn") &&
			!strings.HasPrefix(algorithm, "peak_ewma") // which goes by time and load as well
		for _, m := range balancer.Modules() {
			if m.Spec.Option("maglev") != nil && !strings.Contains(algorithm, " consistent") && !strings.Contains(algorithm, " maglev") && strings.HasPrefix(algorithm, m.Spec.Name) {
				ramps = false // a map knows no slow start, as in HAProxy
			}
		}
		if !ramps {
			continue
		}
		p := build(t, "balance "+algorithm+"\nserver a 10.0.0.1:80 weight 50\nserver b 10.0.0.2:80 weight 50", Deps{})
		byName(p, "b").Live.SetRamp(10)
		p.changed()
		if got := spread(t, p, 2000); got["b"] < 60 || got["b"] > 400 {
			t.Errorf("%s: %d of 2000 for a tenth of the weight, want 182, from 60 to 400", algorithm, got["b"])
		}
	}
}

func TestTurnsSurviveAReload(t *testing.T) {
	r := registry{}
	const text = "balance roundrobin\nserver a 10.0.0.1:80\nserver b 10.0.0.2:80"
	got := ""
	for range 4 {
		p := build(t, text, Deps{Live: r.live})
		s, name := acquire(p, &balancer.Ask{})
		got += name
		p.Release(s)
	}
	if got != "abab" {
		t.Errorf("%s over three reloads, want abab", got)
	}
}

func TestBalanceDiagnostics(t *testing.T) {
	for _, c := range []struct {
		text, rule string
		severity   diag.Severity
	}{
		{"balance hash fixed\nserver a 10.0.0.1:80", "bad-balance", diag.Error},
		{"balance uri map maglev\nserver a 10.0.0.1:80", "bad-balance", diag.Error},
		{"server a 10.0.0.1:80 weight 0", "no-usable-server", diag.Warning},
		{"balance first\nserver a 10.0.0.1:80\nserver b 10.0.0.1:81", "first-without-maxconn", diag.Warning},
		{"balance first\nserver a 10.0.0.1:80 maxconn 5\nserver b 10.0.0.1:81", "", 0},
		{"balance first\nserver a 10.0.0.1:80\nserver b 10.0.0.1:81 backup", "", 0},
	} {
		_, found := New(parse(t, "p", c.text), Deps{})
		switch {
		case c.rule == "" && len(found) > 0:
			t.Errorf("%s: %v", c.text, found)
		case c.rule == "":
		case len(found) != 1 || found[0].Rule != c.rule || found[0].Severity != c.severity:
			t.Errorf("%s: %v, want %s", c.text, found, c.rule)
		}
	}
}
