package pool

import (
	"net"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// buildAll makes the pools of a configuration, named in turn p, q, r.
func buildAll(t *testing.T, d Deps, texts ...string) ([]*Pool, string) {
	t.Helper()
	for i, text := range texts {
		d.Pools = append(d.Pools, *parse(t, string(rune('p'+i)), text))
	}
	var pools []*Pool
	for i := range d.Pools {
		p, errs := New(&d.Pools[i], d)
		if errs.HasErrors() {
			return nil, errs.Error()
		}
		pools = append(pools, p)
	}
	for _, p := range pools {
		p.Start()
		t.Cleanup(func() { _ = p.Close() })
	}
	return pools, ""
}

func TestTrack(t *testing.T) {
	var out logs
	lives := registry{}
	d := Deps{Live: lives.live, Log: out.logger()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pools, errs := buildAll(t, d,
		"health tcp interval 1h\nserver b "+l.Addr().String()+"\nserver a 127.0.0.1:1",
		"server a 127.0.0.1:1 health track p/a\nserver b 127.0.0.1:2",
		"health track q/a\nserver x 127.0.0.1:9\nserver y 127.0.0.1:8 health off")
	if errs != "" {
		t.Fatal(errs)
	}
	// b is probed at once, and passes; a half an hour later.
	first := pools[0].servers[1].Live
	for _, v := range []upstream.Verdict{upstream.Down, upstream.Up, upstream.Down} {
		first.SetVerdict(v, "reason: test")
		for i, want := range [][2]string{{"ba", "b"}, {"ab", "b"}, {"xy", "y"}} {
			want := want[v]
			if got := usable(pools[i]); got != want {
				t.Errorf("%s: pool %d has %s, want %s", v, i, got, want)
			}
		}
	}
	got := out.String()
	for text, want := range map[string]int{
		"Server p/a is DOWN, reason: test. 1 active": 2,
		"Server q/a is DOWN via p/a. 1 active":       2,
		"Server r/x is DOWN via q/a. 1 active":       2,
		"Server r/x is UP via q/a. 2 active":         1,
	} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("%d times %q, want %d:\n%s", n, text, want, got)
		}
	}
	first.SetCounter(0)
	// What is tracked is down already when the next generation starts.
	again, errs := buildAll(t, d, "health tcp interval 1h\nserver b "+l.Addr().String()+"\nserver a 127.0.0.1:1",
		"health track p/a\nserver new 127.0.0.1:1\nserver other 127.0.0.1:2 health track p/b")
	if errs != "" || usable(again[1]) != "other" {
		t.Errorf("%s usable (%s)", usable(again[1]), errs)
	}
}

func TestTrackRefused(t *testing.T) {
	const probed = "health tcp\nserver a 127.0.0.1:1"
	for _, c := range []struct{ p, q, want string }{
		{probed, "health track x/a\nserver a 127.0.0.1:1", `there is no server "x/a" to track`},
		{probed, "health track p/b\nserver a 127.0.0.1:1", `there is no server "p/b" to track`},
		{probed, "health track p\nserver a 127.0.0.1:1", `there is no server "p" to track`},
		{probed, "server a 127.0.0.1:1 health track q/a", "tracks itself"},
		{"health track q/a\nserver a 127.0.0.1:1", "health track p/a\nserver a 127.0.0.1:1", "tracks itself"},
		{"server a 127.0.0.1:1 health track q/b", "health track q/a\nserver a 127.0.0.1:1 health track q/b\nserver b 127.0.0.1:1", "in the end"},
		{"server a 127.0.0.1:1", "health track p/a\nserver a 127.0.0.1:1", "is not probed"},
		{"health tcp\nserver a 127.0.0.1:1 disabled", "health track p/a\nserver a 127.0.0.1:1", "is not probed"},
		{"health tcp\nserver a 127.0.0.1:1 health off", "health track p/a\nserver a 127.0.0.1:1", "is not probed"},
		{"health agent\nserver a 127.0.0.1:1", "health track p/a\nserver a 127.0.0.1:1", "is not probed"},
		{"health tcp\nhealth http\nserver a 127.0.0.1:1", probed, "given twice"},
	} {
		if _, errs := buildAll(t, Deps{}, c.p, c.q); !strings.Contains(errs, c.want) {
			t.Errorf("%q %q: %q, want %q", c.p, c.q, errs, c.want)
		}
	}
}

// A server that is to start down does not get traffic before it was probed, and
// nobody is told of a change that was none.
func TestInitialDown(t *testing.T) {
	var out logs
	p := build(t, "health tcp interval 1h initial down\nserver a 127.0.0.1:1\nserver b 127.0.0.1:2 health off", Deps{Log: out.logger()})
	share(t, p, 3, map[string]int{"b": 3})
	if strings.Contains(out.String(), "p/a") {
		t.Errorf("logged:\n%s", out.String())
	}
}
