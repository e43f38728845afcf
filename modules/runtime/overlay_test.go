package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/runtime"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// farm is a pool of servers that nobody asks anything; %s is more of the pool.
const farm = "http://unix/%s {\n\tlog off\n\tproxy web\n}\npool web {\n%s\n}\n"

const fourServers = "server one 10.0.0.1:80 weight 4 maxconn 10\nserver two 10.0.0.2:80\nserver off 10.0.0.3:80 disabled\nserver spare 10.0.0.4:80 backup"

func do(t testing.TB, r *runtime.Runtime, c overlay.Change) {
	t.Helper()
	if c.Pool == "" && c.Kind != overlay.Clear {
		c.Pool = "web"
	}
	if err := r.Overlay().Do(context.Background(), c); err != nil {
		t.Fatalf("%s: %v", c.String(), err)
	}
}

// look describes the servers of a runtime in a line each.
func look(r *runtime.Runtime) map[string]string {
	out := map[string]string{}
	r.EachServer(func(s *upstream.Server) {
		text := fmt.Sprintf("%s w%d m%d", s.Address, s.WeightNow(), s.MaxconnNow())
		switch _, drained := s.Live.Barred(); {
		case !s.Up():
			text += " down"
		case drained:
			text += " drained"
		}
		if !s.Usable() {
			text += " idle"
		}
		out[s.Name] = text
	})
	return out
}

func apply(t testing.TB, r *runtime.Runtime, text string) {
	t.Helper()
	if _, found := r.Apply(load(t, text)); found.HasErrors() {
		t.Fatal(found)
	}
}

func number(n int) *int { return &n }

// Every action, over a reload, a reload with an unrelated change, and a restart.
func TestActionsSurvive(t *testing.T) {
	web := func(c overlay.Change) overlay.Change { c.Pool = "web"; return c }
	for _, c := range []struct {
		name   string
		do     []overlay.Change
		server string
		want   string // "": gone
		lines  string
	}{
		{"drain", []overlay.Change{{Kind: overlay.Drain, Server: "one"}}, "one", "10.0.0.1:80 w4 m10 drained idle",
			"server one 10.0.0.1:80 weight 0 maxconn 10"},
		{"maint", []overlay.Change{{Kind: overlay.Maint, Server: "one"}}, "one", "10.0.0.1:80 w4 m10 down idle",
			"server one 10.0.0.1:80 weight 4 maxconn 10 disabled"},
		{"maint after drain", []overlay.Change{{Kind: overlay.Drain, Server: "two"}, {Kind: overlay.Maint, Server: "two"}}, "two", "10.0.0.2:80 w1 m0 down idle",
			"server two 10.0.0.2:80 disabled"},
		{"ready", []overlay.Change{{Kind: overlay.Maint, Server: "one"}, {Kind: overlay.Ready, Server: "one"}}, "one", "10.0.0.1:80 w4 m10", ""},
		{"ready in spite of the file", []overlay.Change{{Kind: overlay.Ready, Server: "off"}}, "off", "10.0.0.3:80 w1 m0",
			"server off 10.0.0.3:80"},
		{"weight", []overlay.Change{{Kind: overlay.Weight, Server: "one", Weight: "7"}}, "one", "10.0.0.1:80 w7 m10",
			"server one 10.0.0.1:80 weight 7 maxconn 10"},
		{"weight in percent", []overlay.Change{{Kind: overlay.Weight, Server: "one", Weight: "50%"}}, "one", "10.0.0.1:80 w2 m10",
			"server one 10.0.0.1:80 weight 2 maxconn 10"},
		{"weight 0", []overlay.Change{{Kind: overlay.Weight, Server: "two", Weight: "0"}}, "two", "10.0.0.2:80 w0 m0 idle",
			"server two 10.0.0.2:80 weight 0"},
		{"all of the weight", []overlay.Change{{Kind: overlay.Weight, Server: "one", Weight: "9"}, {Kind: overlay.Weight, Server: "one", Weight: "100%"}},
			"one", "10.0.0.1:80 w4 m10", ""},
		{"maxconn", []overlay.Change{{Kind: overlay.Maxconn, Server: "one", Maxconn: number(3)}}, "one", "10.0.0.1:80 w4 m3",
			"server one 10.0.0.1:80 weight 4 maxconn 3"},
		{"no maxconn", []overlay.Change{{Kind: overlay.Maxconn, Server: "one", Maxconn: number(0)}}, "one", "10.0.0.1:80 w4 m0",
			"server one 10.0.0.1:80 weight 4 maxconn 0"},
		{"add", []overlay.Change{{Kind: overlay.Add, Server: "new", Address: "10.0.0.9:80", Options: "weight 3 maxconn 5 health off"}},
			"new", "10.0.0.9:80 w3 m5", "server new 10.0.0.9:80 weight 3 maxconn 5 health off"},
		{"add and drain it", []overlay.Change{{Kind: overlay.Add, Server: "new", Address: "10.0.0.9:80"}, {Kind: overlay.Drain, Server: "new"}},
			"new", "10.0.0.9:80 w1 m0 drained idle", "server new 10.0.0.9:80 weight 0"},
		{"remove", []overlay.Change{{Kind: overlay.Remove, Server: "two"}}, "two", "", "# take out: server two 10.0.0.2:80"},
		{"remove what was added", []overlay.Change{{Kind: overlay.Add, Server: "new", Address: "10.0.0.9:80"}, {Kind: overlay.Remove, Server: "new"}},
			"new", "", ""},
		{"a name given to another address", []overlay.Change{{Kind: overlay.Remove, Server: "two"}, {Kind: overlay.Add, Server: "two", Address: "10.0.0.22:80"}},
			"two", "10.0.0.22:80 w1 m0", "# take out: server two 10.0.0.2:80 | server two 10.0.0.22:80"},
		{"clear", []overlay.Change{{Kind: overlay.Remove, Server: "two"}, {Kind: overlay.Clear, Server: "two"}}, "two", "10.0.0.2:80 w1 m0", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			text := fmt.Sprintf(farm, filepath.Join(dir, "web.sock"), fourServers)
			r := newRuntime(t)
			if err := r.Overlay().Keep(dir); err != nil {
				t.Fatal(err)
			}
			apply(t, r, text)
			before := r.Stats().Generation
			for _, c := range c.do {
				do(t, r, web(c))
			}
			check := func(when string, r *runtime.Runtime) {
				t.Helper()
				if got := look(r)[c.server]; got != c.want {
					t.Errorf("%s: %q, want %q", when, got, c.want)
				}
				var lines []string
				for _, p := range r.Overlay().Lines() {
					lines = append(lines, p.Lines...)
				}
				if got := strings.Join(lines, " | "); got != c.lines {
					t.Errorf("%s: to be put into the file: %q, want %q", when, got, c.lines)
				}
			}
			check("at once", r)
			apply(t, r, text)
			check("after a reload", r)
			apply(t, r, strings.Replace(text, "proxy web", "respond hello\n\tproxy web", 1))
			check("after a reload of a changed file", r)
			if r.Stats().Generation <= before {
				t.Error("no reload")
			}
			stop(r, time.Second)
			again := newRuntime(t)
			if err := again.Overlay().Keep(dir); err != nil {
				t.Fatal(err)
			}
			apply(t, again, text)
			check("after a restart", again)
		})
	}
}

// What the lines say is what the changes did.
func TestLinesMakeItPermanent(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "web.sock")
	r := newRuntime(t)
	apply(t, r, fmt.Sprintf(farm, socket, fourServers))
	for _, c := range []overlay.Change{
		{Kind: overlay.Add, Server: "new", Address: "[::1]:80", Options: `weight 5 slow_start 20s timeout first_byte 2m`},
		{Kind: overlay.Weight, Server: "one", Weight: "2"}, {Kind: overlay.Remove, Server: "two"},
		{Kind: overlay.Ready, Server: "off"}, {Kind: overlay.Maxconn, Server: "spare", Maxconn: number(7)},
	} {
		do(t, r, c)
	}
	var body []string
	for _, p := range r.Overlay().Lines() {
		body = append(body, p.Lines...)
	}
	file := newRuntime(t)
	apply(t, file, fmt.Sprintf(farm, socket+"2", strings.Join(body, "\n")))
	want, got := look(r), look(file)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the lines give %v, want %v", got, want)
	}
	// With the file changed so, nothing is left to be done.
	apply(t, r, fmt.Sprintf(farm, socket, strings.Join(body, "\n")))
	if fmt.Sprint(look(r)) != fmt.Sprint(want) {
		t.Errorf("file and changes together give %v, want %v", look(r), want)
	}
	for _, l := range r.Overlay().List() {
		if l.InForce == (l.Kind == overlay.Add || l.Kind == overlay.Remove || l.Kind == overlay.Ready) {
			t.Errorf("%s: in force %v (%s)", l.String(), l.InForce, l.Note)
		}
	}
}

// A server at another address is another server: what was said of the old one
// rests, and counts again when it is back.
func TestChangesRest(t *testing.T) {
	text := fmt.Sprintf(farm, filepath.Join(t.TempDir(), "web.sock"), fourServers)
	r := newRuntime(t)
	apply(t, r, text)
	do(t, r, overlay.Change{Kind: overlay.Maint, Server: "one"})
	do(t, r, overlay.Change{Kind: overlay.Add, Server: "new", Address: "10.0.0.9:80"})
	apply(t, r, strings.Replace(text, "10.0.0.1:80", "10.0.1.1:80", 1)+"pool empty {\n\tserver x 10.9.9.9:1\n}\n")
	if got := look(r)["one"]; got != "10.0.1.1:80 w4 m10" {
		t.Errorf("the new one is %q", got)
	}
	apply(t, r, strings.Replace(text, "server two", "server new 10.7.7.7:1\nserver two", 1))
	if got := look(r)["new"]; got != "10.7.7.7:1 w1 m0" {
		t.Errorf("the file's server has to give way: %q", got)
	}
	for _, l := range r.Overlay().List() {
		if l.Kind == overlay.Add && (l.InForce || !strings.Contains(l.Note, "another server")) {
			t.Errorf("listed as %+v", l)
		}
	}
	apply(t, r, text)
	if got := look(r); !strings.Contains(got["one"], "down") || got["new"] == "" {
		t.Errorf("back: %v", got)
	}
}

func TestRefusals(t *testing.T) {
	r := newRuntime(t)
	apply(t, r, fmt.Sprintf(farm, filepath.Join(t.TempDir(), "web.sock"), fourServers))
	do(t, r, overlay.Change{Kind: overlay.Remove, Server: "spare"})
	before, generation := fmt.Sprint(look(r)), r.Stats().Generation
	for _, c := range []struct {
		c      overlay.Change
		reason overlay.Reason
		says   string
	}{
		{overlay.Change{Kind: "drian", Server: "one"}, overlay.Invalid, `did you mean "drain"?`},
		{overlay.Change{Kind: overlay.Drain}, overlay.Invalid, "needs a pool and a server"},
		{overlay.Change{Kind: overlay.Drain, Server: "oen"}, overlay.NotFound, `did you mean "one"?`},
		{overlay.Change{Kind: overlay.Drain, Pool: "wbe", Server: "one"}, overlay.NotFound, `did you mean "web"?`},
		{overlay.Change{Kind: overlay.Drain, Server: "one", Address: "10.0.0.2:80"}, overlay.Conflict, "is at 10.0.0.1:80"},
		{overlay.Change{Kind: overlay.Drain, Server: "one", Weight: "3"}, overlay.Invalid, "weight belongs to"},
		{overlay.Change{Kind: overlay.Weight, Server: "one"}, overlay.Invalid, "weight belongs to"},
		{overlay.Change{Kind: overlay.Weight, Server: "one", Weight: "257"}, overlay.Invalid, `"257" is no weight`},
		{overlay.Change{Kind: overlay.Weight, Server: "one", Weight: "-1"}, overlay.Invalid, "no weight"},
		{overlay.Change{Kind: overlay.Weight, Server: "one", Weight: "+1"}, overlay.Invalid, "no weight"},
		{overlay.Change{Kind: overlay.Weight, Server: "one", Weight: "1001%"}, overlay.Invalid, "no weight"},
		{overlay.Change{Kind: overlay.Maxconn, Server: "one", Maxconn: number(-1)}, overlay.Invalid, "-1 is no maxconn"},
		{overlay.Change{Kind: overlay.Drain, Server: "one", Expires: time.Now().Add(-time.Second)}, overlay.Invalid, "expired already"},
		{overlay.Change{Kind: overlay.Drain, Server: "one", By: "a\nb"}, overlay.Invalid, "printable"},
		{overlay.Change{Kind: overlay.Add, Server: "one", Address: "10.0.0.7:80"}, overlay.Conflict, "has a server"},
		{overlay.Change{Kind: overlay.Add, Server: "new"}, overlay.Invalid, "needs its address"},
		{overlay.Change{Kind: overlay.Add, Server: "new", Address: "10.0.0.7:http"}, overlay.Invalid, "not valid"},
		{overlay.Change{Kind: overlay.Add, Server: "a b", Address: "10.0.0.7:80"}, overlay.Invalid, "no name"},
		{overlay.Change{Kind: overlay.Add, Server: "new", Address: "10.0.0.7:80 weight"}, overlay.Invalid, "no address"},
		{overlay.Change{Kind: overlay.Add, Server: "new", Address: "10.0.0.7:80", Options: "wieght 2"}, overlay.Invalid, "wieght"},
		{overlay.Change{Kind: overlay.Add, Server: "new", Address: "10.0.0.7:80", Options: "weight 2\n}\nadmin off"}, overlay.Invalid, "one line"},
		{overlay.Change{Kind: overlay.Add, Server: "new", Address: "10.0.0.7:80", Options: "} http://:1 { respond x"}, overlay.Invalid, ""},
		{overlay.Change{Kind: overlay.Add, Server: "new", Address: "10.0.0.7:80", Options: "health track web/nobody"}, overlay.Conflict, "would not be valid"},
		{overlay.Change{Kind: overlay.Add, Server: "spare", Address: "10.0.0.4:80"}, overlay.Conflict, "removed at run time"},
		{overlay.Change{Kind: overlay.Clear, Server: "one"}, overlay.NotFound, "nothing was changed"},
	} {
		if c.c.Pool == "" {
			c.c.Pool = "web"
		}
		err := r.Overlay().Do(context.Background(), c.c)
		var refusal *overlay.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != c.reason || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %d with %q", c.c, err, c.reason, c.says)
		}
	}
	if after := fmt.Sprint(look(r)); after != before || r.Stats().Generation != generation {
		t.Errorf("refusals changed %s to %s", before, after)
	}
}

// The last server of a pool cannot be removed.
func TestLastServerStays(t *testing.T) {
	r := newRuntime(t)
	apply(t, r, fmt.Sprintf(farm, filepath.Join(t.TempDir(), "web.sock"), "server one 10.0.0.1:80"))
	err := r.Overlay().Do(context.Background(), overlay.Change{Kind: overlay.Remove, Pool: "web", Server: "one"})
	if err == nil || !strings.Contains(err.Error(), "no server") || len(look(r)) != 1 {
		t.Errorf("removed: %v, left: %v", err, look(r))
	}
}

func TestChangesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// No sockets and no probes: nothing but timers runs in this bubble.
		r := runtime.New(modules.Standard(), slog.New(slog.DiscardHandler))
		defer stop(r, time.Second)
		apply(t, r, "pool web {\n"+fourServers+"\n}\n")
		in := func(d time.Duration, c overlay.Change) overlay.Change { c.Expires = time.Now().Add(d); return c }
		do(t, r, in(time.Minute, overlay.Change{Kind: overlay.Add, Server: "new", Address: "10.0.0.9:80"}))
		do(t, r, in(2*time.Minute, overlay.Change{Kind: overlay.Maint, Server: "one"}))
		do(t, r, overlay.Change{Kind: overlay.Drain, Server: "two"})
		do(t, r, in(3*time.Minute, overlay.Change{Kind: overlay.Remove, Server: "spare"}))
		for _, step := range []struct{ added, one, spare bool }{{true, false, false}, {false, false, false}, {false, true, false}, {false, true, true}} {
			got := look(r)
			if (got["new"] != "") != step.added || strings.HasSuffix(got["one"], "m10") != step.one || (got["spare"] != "") != step.spare ||
				!strings.Contains(got["two"], "drained") {
				t.Errorf("%+v: %v", step, got)
			}
			time.Sleep(time.Minute + time.Millisecond)
			synctest.Wait()
		}
		if left := r.Overlay().List(); len(left) != 1 || left[0].Kind != overlay.Drain {
			t.Errorf("left: %v", left)
		}
	})
}

// A file that is not ours is left alone.
func TestBrokenFileIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, overlay.FileName)
	for _, text := range []string{"{", `{"version": 99, "changes": []}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := newRuntime(t)
		if err := r.Overlay().Keep(dir); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("taken: %v", err)
		}
		apply(t, r, fmt.Sprintf(farm, filepath.Join(t.TempDir(), "web.sock"), fourServers))
		do(t, r, overlay.Change{Kind: overlay.Drain, Server: "one"})
		if got, _ := os.ReadFile(file); string(got) != text {
			t.Errorf("overwritten with %s", got)
		}
	}
}

// A directory that a later configuration names is taken up when nothing was changed
// before, servers that are added and removed included.
func TestStateNamedLater(t *testing.T) {
	dir := t.TempDir()
	text := fmt.Sprintf(farm, filepath.Join(t.TempDir(), "web.sock"), fourServers)
	r := newRuntime(t)
	if err := r.Overlay().Keep(dir); err != nil {
		t.Fatal(err)
	}
	apply(t, r, text)
	do(t, r, overlay.Change{Kind: overlay.Drain, Server: "one"})
	do(t, r, overlay.Change{Kind: overlay.Remove, Server: "two"})
	want := look(r)
	stop(r, time.Second)

	again := newRuntime(t)
	apply(t, again, text)
	if err := again.Overlay().Keep(dir); err != nil {
		t.Fatal(err)
	}
	if got := look(again); fmt.Sprint(got) != fmt.Sprint(want) || got["two"] != "" {
		t.Errorf("%v, want %v", got, want)
	}
}

// Changes that are made and expire while configurations are replaced all the time: each
// generation has what is said at its moment, and in the end all is as in the file.
func TestChangesExpireInReloads(t *testing.T) {
	text := fmt.Sprintf(farm, filepath.Join(t.TempDir(), "web.sock"), fourServers)
	texts := []string{text, strings.Replace(text, "proxy web", "respond 404", 1)}
	r := newRuntime(t)
	apply(t, r, text)
	want := fmt.Sprint(look(r))
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; ; i++ {
			select {
			case <-stopped:
				return
			default:
			}
			if _, found := r.Apply(load(t, texts[i%2])); found.HasErrors() {
				t.Error(found)
				return
			}
		}
	}()
	for i := range 60 {
		for _, c := range []overlay.Change{
			{Kind: overlay.Add, Server: fmt.Sprintf("new%d", i), Address: "10.0.0.9:80"}, {Kind: overlay.Weight, Server: "one", Weight: "7"},
			{Kind: overlay.Drain, Server: "two"}, {Kind: overlay.Ready, Server: "off"},
		} {
			c.Pool, c.Expires = "web", time.Now().Add(time.Duration(1+i%20)*5*time.Millisecond)
			err := r.Overlay().Do(t.Context(), c)
			if err != nil && !strings.Contains(err.Error(), "would have expired already") {
				t.Error(err)
			}
		}
	}
	for end := time.Now().Add(30 * time.Second); r.Overlay().Len() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	close(stopped)
	<-done
	if got := fmt.Sprint(look(r)); got != want || r.Overlay().Len() != 0 {
		t.Errorf("%d changes are left; %s, want %s", r.Overlay().Len(), got, want)
	}
}
