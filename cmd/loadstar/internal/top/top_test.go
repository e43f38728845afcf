package top

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/census"
)

// farm is a census of three pools.
func farm() *census.Census {
	server := func(pool, name string, state census.State, rate float64) census.Server {
		s := census.Server{Pool: pool, Name: name, Address: "10.0.0.1:80", State: state, Weight: 2, Active: int64(rate / 10), Limit: 100}
		s.Rate, s.Total, s.Probed, s.Check.Text = rate, int64(rate*60), state != census.Maint, "L7OK/200 in 1ms"
		return s
	}
	c := &census.Census{Process: census.Process{
		Version: "1.0", Started: time.Unix(1000, 0), Generation: 3, Connections: census.Connections{Open: 42, Limit: 1000},
	}}
	c.Sites = []census.Site{{Name: "http://:8080", Active: 12, Rates: census.Rates{Rate: 90.4, RateMax: 200}}, {Name: "tcp://:25", Rates: census.Rates{Rate: 1.5}}}
	c.Pools = []census.Pool{
		{Name: "web", Balance: "roundrobin", Usable: 2, Active: 12, Rates: census.Rates{Rate: 90}, Servers: []census.Server{
			server("web", "one", census.Up, 60), server("web", "two", census.Up, 30), server("web", "three", census.Down, 0)}},
		{Name: "mail", Balance: "leastconn", Usable: 0, Servers: []census.Server{server("mail", "smtp\x1b[2J", census.Maint, 0)}},
	}
	return c
}

func texts(lines []Line) []string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return out
}

func press(m *Model, keys string) (last *Action, quit bool) {
	for _, k := range Keys([]byte(keys)) {
		if last, quit = m.Key(k); quit {
			return last, true
		}
	}
	return last, false
}

func TestKeysOfModel(t *testing.T) {
	for _, c := range []struct{ name, keys, want string }{
		{"the first server", "d", "drain web/one "},
		{"down", "\x1b[Bd", "drain web/two "},
		{"j and k", "jjkm", "maint web/two "},
		{"past a pool's line", "\x1bOB\x1bOB\x1bOBr", "ready mail/smtp\x1b[2J "},
		{"past the end", strings.Repeat("j", 99) + "r", "ready mail/smtp\x1b[2J "},
		{"back past the beginning", "jjkkkkkkd", "drain web/one "},
		{"end and home", "\x1b[F\x1b[Hd", "drain web/one "},
		{"end", "\x1b[4~d", "drain mail/smtp\x1b[2J "},
		{"weight", "jw50%\r", "weight web/two 50%"},
		{"a weight that was mended", "w5x\x7f\x7f7\r", "weight web/one 7"},
		{"a weight given up", "w5\x1b", ""},
		{"no weight", "w\r", ""},
		{"sorted by rate, then name", "sd", "drain web/one "},
		{"filtered", "/TWO\rd", "drain web/two "},
		{"filtered by state", "/down\rd", "drain web/three "},
		{"nothing left", "/nobody\rd", ""},
		{"a filter given up", "/two\x1bd", "drain web/one "},
		{"letters of a filter are no orders", "/dmrq", ""},
		{"unknown sequences", "\x1b[200~\x1b[1;5Cd", "drain web/one "},
	} {
		m := &Model{Census: farm()}
		a, quit := press(m, c.keys)
		got := ""
		if a != nil {
			got = fmt.Sprintf("%s %s/%s %s", a.Do, a.Pool, a.Server, a.Weight)
		}
		if got != c.want || quit {
			t.Errorf("%s: %q (quit %v), want %q", c.name, got, quit, c.want)
		}
	}
	for _, keys := range []string{"q", "\x03", "/x\x03", "jjq"} {
		if _, quit := press(&Model{Census: farm()}, keys); !quit {
			t.Errorf("%q does not end it", keys)
		}
	}
	if a, _ := press(&Model{}, "d\x1b[6~\x1b[5~w1\r"); a != nil {
		t.Error("something to do without a census")
	}
}

// A server keeps being chosen while the list changes around it.
func TestChosenStays(t *testing.T) {
	m := &Model{Census: farm()}
	press(m, "j")
	c := farm()
	c.Pools[0].Servers = append(c.Pools[0].Servers[2:3:3], c.Pools[0].Servers[0], c.Pools[0].Servers[1])
	m.Census = c
	if a, _ := press(m, "d"); a == nil || a.Server != "two" {
		t.Errorf("drains %+v", a)
	}
	m.Census = &census.Census{}
	if a, _ := press(m, "d"); a != nil {
		t.Error("drains what is gone")
	}
}

func TestViewFits(t *testing.T) {
	big := farm()
	for i := range 200 {
		big.Pools[0].Servers = append(big.Pools[0].Servers, census.Server{Pool: "web", Name: fmt.Sprintf("s%03d", i), State: census.Up})
	}
	for _, c := range []*census.Census{nil, {}, farm(), big} {
		for _, size := range [][2]int{{80, 24}, {200, 60}, {10, 3}, {1, 1}, {40, 12}} {
			m := &Model{Census: c}
			press(m, "\x1b[F")
			lines := m.View(size[0], size[1])
			if len(lines) > size[1] && size[1] > 1 {
				t.Errorf("%d lines at a height of %d", len(lines), size[1])
			}
			for _, l := range lines {
				if len([]rune(l.Text)) > size[0] || strings.ContainsFunc(l.Text, func(r rune) bool { return r < ' ' }) {
					t.Errorf("%q at a width of %d", l.Text, size[0])
				}
			}
		}
	}
	m := &Model{Census: big}
	press(m, strings.Repeat("j", 150))
	if all := strings.Join(texts(m.View(120, 24)), "\n"); !strings.Contains(all, "> s147") {
		t.Errorf("the chosen server is out of sight:\n%s", all)
	}
	m.Err = errors.New("gone\x1b[2J")
	if foot := m.View(80, 24)[23].Text; foot != "not current: gone?[2J" {
		t.Errorf("foot %q", foot)
	}
}

func TestOnce(t *testing.T) {
	m := &Model{Census: farm(), At: time.Unix(1000+7325, 0)}
	out := strings.Join(m.Once(), "\n")
	for _, want := range []string{"up 2h02m", "servers: 2 up 1 down 1 maint", "http://:8080", "  three", "smtp?[2J"} {
		if !strings.Contains(out, want) {
			t.Errorf("without %q:\n%s", want, out)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("\x1b[A\x1b"))
	f.Add([]byte("jjjw0")) // to weigh a server whose name has control bytes
	f.Add([]byte("jw50%\r/x\x1b[200~q\xff\xfe"))
	f.Fuzz(func(t *testing.T, p []byte) {
		m := &Model{Census: farm()}
		for _, k := range Keys(p) {
			if k.Name == "" && k.Rune < ' ' {
				t.Errorf("a control as a rune: %q", k.Rune)
			}
			m.Key(k)
		}
		for _, l := range m.View(60, 10) {
			if strings.ContainsFunc(l.Text, func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q on the screen", l.Text)
			}
		}
	})
}

// source is a process that answers what it is told to.
type source struct {
	census *census.Census
	acted  chan Action
}

func (s *source) Census(context.Context) (*census.Census, error) { return s.census, nil }

func (s *source) Act(_ context.Context, a Action) (string, error) {
	s.acted <- a
	if a.Do == "weight" {
		return "", errors.New(`"` + a.Weight + `" is no weight`)
	}
	return a.Pool + "/" + a.Server + ": " + a.Do, nil
}
