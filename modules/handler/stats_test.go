package handler

import (
	"context"
	"encoding/base64"
	"io"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/auth"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/matcher"
	"github.com/loadstar-lb/loadstar/modules/measure"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// running is a census of one site and one pool with one server.
type running struct{}

func (running) Census() *census.Census {
	s := &upstream.Server{Key: upstream.Key{Pool: "web", Name: "one", Address: "10.0.0.1:80"}, Weight: 1, Live: upstream.NewLive(), Group: upstream.NewLive()}
	return &census.Census{
		Process: census.Process{Generation: 3, Started: time.Now(), Loaded: time.Now(), At: flow.Now()},
		Sites:   []census.Site{{Name: "http://:80", Addresses: []string{"http://:80"}, Traffic: &measure.Traffic{}}},
		Pools:   []census.Pool{{Name: "web", Live: s.Group, Servers: []census.Server{census.ServerOf(s, flow.Now())}}},
	}
}

// orders remembers what was asked for; it knows the server web/one.
type orders struct{ done []string }

func (o *orders) Do(_ context.Context, c overlay.Change) error {
	switch {
	case c.Pool != "web" || c.Server != "one":
		return &overlay.Refusal{Reason: overlay.NotFound, Message: "there is no server " + c.Server, Help: []string{"did you mean one?"}}
	case c.Kind == overlay.Weight && c.Weight == "999":
		return &overlay.Refusal{Message: "999 is no weight"}
	}
	o.done = append(o.done, c.String()+" by "+c.By)
	return nil
}

func (o *orders) List() []overlay.Listed { return nil }

func (o *orders) take() string {
	s := strings.Join(o.done, ", ")
	o.done = nil
	return s
}

// statsHash is of "secret".
var statsHash = func() string {
	h, err := auth.Hash([]byte("secret"), auth.MinCost)
	if err != nil {
		panic(err)
	}
	return h
}()

func login(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// statistics makes a `stats` directive with two users, of whom none of 10.9.0.0/16
// may change anything.
func statistics(t *testing.T, options ...config.Node) (flow.Handler, *orders) {
	t.Helper()
	o := &orders{}
	h, err := Stats.New(node(t, Stats, "", []string{"/lb-stats"}, options...), &Env{
		Census: running{}, Control: o, Site: &config.Site{Name: "http://:80"},
		Match: func(*config.Expr) (matcher.Matcher, error) { return inside{}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h, o
}

type inside struct{}

func (inside) Match(x *flow.Exchange) bool {
	return !strings.HasPrefix(x.Client.String(), "10.9.")
}

func users2() []config.Node {
	return []config.Node{option("auth", "alice", statsHash), option("auth", "bob", statsHash), option("admin")}
}

func TestStatsAnswers(t *testing.T) {
	h, _ := statistics(t)
	for _, c := range []struct {
		target, kind, text string
	}{
		{"/lb-stats", "text/html; charset=utf-8", "<!doctype html>"},
		{"/lb-stats?sort=rate&q=x", "text/html; charset=utf-8", "<!doctype html>"},
		{"/lb-stats;csv", "text/plain; charset=utf-8", "# pxname,svname,"},
		{"/lb-stats;csv;norefresh", "text/plain; charset=utf-8", "# pxname,svname,"},
		{"/lb-stats;json", "application/json", `[[{"objType":"Frontend"`},
		{"/lb-stats;live", "text/event-stream; charset=utf-8", "retry: 2000\n\nevent: page\n"},
		{"/lb-stats;norefresh", "text/html; charset=utf-8", "<!doctype html>"},
		{"/lb-statsx", "", ""}, {"/lb-stats/", "", ""}, {"/lb-stats/x", "", ""}, {"/", "", ""}, {"/LB-STATS", "", ""},
	} {
		x, r := visit(t, c.target)
		done, err := h.Handle(x)
		if err != nil || done != (c.kind != "") {
			t.Errorf("%s: %v, %v", c.target, done, err)
			continue
		}
		if !done {
			continue
		}
		hd := &x.Resp.Header
		if x.Resp.Status != 200 || string(hd.Get("Content-Type")) != c.kind || !strings.HasPrefix(r.body.String(), c.text) || !r.finished ||
			string(hd.Get("Cache-Control")) != "no-store" || string(hd.Get("X-Content-Type-Options")) != "nosniff" {
			t.Errorf("%s: %d %s %.100s", c.target, x.Resp.Status, hd.Get("Content-Type"), r.body.String())
		}
		x, r = visit(t, c.target)
		x.Req.Method = "HEAD"
		if done, err := h.Handle(x); !done || err != nil || r.body.Len() > 0 || !r.finished {
			t.Errorf("HEAD %s: %v, %v, %d bytes", c.target, done, err, r.body.Len())
		}
	}
	x, _ := visit(t, "/lb-stats")
	x.Req.Method = "DELETE"
	if _, err := h.Handle(x); err == nil || err.(*flow.Error).Status != 405 {
		t.Errorf("DELETE: %v", err)
	}
}

func TestStatsAsksWho(t *testing.T) {
	h, _ := statistics(t, users2()...)
	for _, c := range []struct {
		field string
		good  bool
	}{{"", false}, {login("alice", "wrong"), false}, {login("eve", "secret"), false}, {login("alice", "secret"), true}, {login("bob", "secret"), true}} {
		for _, target := range []string{"/lb-stats", "/lb-stats;csv", "/lb-stats;live"} {
			x, r := visit(t, target, "Authorization", c.field)
			done, err := h.Handle(x)
			if done != c.good || (err == nil) != c.good || !c.good && (err.(*flow.Error).Status != 401 || r.body.Len() > 0) {
				t.Errorf("%q at %s: %v, %v", c.field, target, done, err)
			}
		}
	}
}

var tokenOf = regexp.MustCompile(`name="token" value="([^"]+)"`)

// pageFor gives the page that a user is shown, and the token in it.
func pageFor(t *testing.T, h flow.Handler, user, client string) (page, token string) {
	t.Helper()
	x, r := visit(t, "/lb-stats", "Authorization", login(user, "secret"))
	x.Record.Site, x.Client = "http://:80", x.Client.Next()
	if client != "" {
		x.Client = netip.MustParseAddr(client)
	}
	if _, err := h.Handle(x); err != nil {
		t.Fatal(err)
	}
	m := tokenOf.FindStringSubmatch(r.body.String())
	if m == nil {
		return r.body.String(), ""
	}
	return r.body.String(), m[1]
}

func TestStatsOrders(t *testing.T) {
	h, o := statistics(t, users2()...)
	_, alices := pageFor(t, h, "alice", "")
	_, bobs := pageFor(t, h, "bob", "")
	if alices == "" || alices == bobs {
		t.Fatalf("tokens %q and %q", alices, bobs)
	}
	if page, token := pageFor(t, h, "alice", "10.9.1.1"); token != "" || strings.Contains(page, "<form method=\"post\"") {
		t.Error("somebody who may not change anything gets a form to do so")
	}
	const same = "http://Shop.example.com:8080"
	form := func(pairs ...string) string {
		q := url.Values{"token": {alices}, "action": {"drain"}, "pool": {"web"}, "s": {"one"}}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		return q.Encode()
	}
	for _, c := range []struct {
		name   string
		fields []string // in place of the usual ones
		form   string
		status int
		done   string
	}{
		{"good", nil, form(), 303, "drain web/one by alice"},
		{"weight", nil, form("action", "weight", "weight", "7"), 303, "weight web/one 7 by alice"},
		{"shut", nil, form("action", "shut"), 303, "shut web/one by alice"},
		{"by Referer only", []string{"Origin", "", "Referer", same + "/lb-stats?q=x"}, form(), 303, "drain web/one by alice"},
		{"another name's case", []string{"Origin", "http://shop.EXAMPLE.com:8080"}, form(), 303, "drain web/one by alice"},
		{"a foreign Host", []string{"Host", "evil.example", "Origin", "http://evil.example"}, form(), 403, ""},
		{"no token", nil, form("token", ""), 403, ""},
		{"another user's token", nil, form("token", bobs), 403, ""},
		{"another user", []string{"Authorization", login("bob", "secret")}, form(), 403, ""},
		{"nobody", []string{"Authorization", ""}, form(), 401, ""},
		{"a wrong password", []string{"Authorization", login("alice", "no")}, form(), 401, ""},
		{"another site's form", []string{"Origin", "http://evil.example"}, form(), 403, ""},
		{"another port's", []string{"Origin", "http://shop.example.com"}, form(), 403, ""},
		{"a host that begins alike", []string{"Origin", same + ".evil.example"}, form(), 403, ""},
		{"a sandboxed page", []string{"Origin", "null"}, form(), 403, ""},
		{"no origin at all", []string{"Origin", ""}, form(), 403, ""},
		{"a foreign Referer", []string{"Origin", "", "Referer", "http://evil.example/?" + same}, form(), 403, ""},
		{"a neighbour, says the browser", []string{"Sec-Fetch-Site", "same-site"}, form(), 403, ""},
		{"a script's text", []string{"Content-Type", "text/plain"}, form(), 415, ""},
		{"JSON", []string{"Content-Type", "application/json"}, `{"action":"drain"}`, 415, ""},
		{"an unknown server", nil, form("s", "onee"), 404, ""},
		{"an unknown pool", nil, form("pool", "wbe"), 404, ""},
		{"no weight", nil, form("action", "weight", "weight", "999"), 422, ""},
		{"an unknown action", nil, form("action", "remove"), 422, ""},
		{"nothing", nil, "", 422, ""},
		{"too long", nil, form() + strings.Repeat("&s=x", maxForm), 413, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			fields := map[string]string{"Authorization": login("alice", "secret"), "Origin": same, "Content-Type": "application/x-www-form-urlencoded"}
			for i := 0; i < len(c.fields); i += 2 {
				fields[c.fields[i]] = c.fields[i+1]
			}
			x, r := visit(t, "/lb-stats?sort=rate")
			if host := fields["Host"]; host != "" {
				x.Req.Authority = []byte(host)
			}
			for name, v := range fields {
				if v != "" {
					x.Req.Header.Add(name, v)
				}
			}
			x.Client = netip.MustParseAddr("10.1.2.4") // its wrong passwords are its own
			x.Req.Method, x.Record.Site = "POST", "http://:80"
			x.Req.ContentLength, x.Req.Body = -1, &pieces{left: [][]byte{[]byte(c.form)}, err: io.EOF}
			_, err := h.Handle(x)
			status := x.Resp.Status
			if e, ok := err.(*flow.Error); ok {
				status = e.Status
			}
			if got := o.take(); status != c.status || got != c.done {
				t.Errorf("%d, did %q; want %d, %q", status, got, c.status, c.done)
			}
			if c.status == 303 {
				if to := string(x.Resp.Header.Get("Location")); !strings.HasPrefix(to, "./lb-stats?sort=rate&did=") {
					t.Errorf("it leads to %s", to)
				}
			} else if err == nil && !strings.Contains(r.body.String(), `role="alert"`) {
				t.Errorf("it does not say why: %.300s", r.body.String())
			}
		})
	}
}

// TestStatsWithoutAdmin: without `admin` nobody changes anything, whatever he sends.
func TestStatsWithoutAdmin(t *testing.T) {
	h, o := statistics(t, option("auth", "alice", statsHash))
	x, _ := visit(t, "/lb-stats", "Authorization", login("alice", "secret"), "Origin", "http://shop.example.com:8080",
		"Content-Type", "application/x-www-form-urlencoded")
	x.Req.Method, x.Record.Site = "POST", "http://:80"
	token := tokens.Make("alice", "shop.example.com:8080 http://:80 /lb-stats", time.Now())
	x.Req.ContentLength, x.Req.Body = -1, &pieces{left: [][]byte{[]byte("action=drain&pool=web&s=one&token=" + token)}, err: io.EOF}
	if _, err := h.Handle(x); err != nil || x.Resp.Status != 403 || o.take() != "" {
		t.Errorf("%d, %v", x.Resp.Status, err)
	}
}

func TestStatsNote(t *testing.T) {
	h, _ := statistics(t)
	for query, want := range map[string]string{
		"did=drain&n=2":            "2 servers were drained.",
		"did=<script>&n=1":         "",
		"did=drain&n=-1":           "",
		"did=you+have+been+hacked": "",
	} {
		x, r := visit(t, "/lb-stats?"+query)
		if _, err := h.Handle(x); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(r.body.String(), `role="alert"`); got != (want != "") || !strings.Contains(r.body.String(), want) {
			t.Errorf("%s: %v", query, got)
		}
	}
}

func TestStatsRefuses(t *testing.T) {
	env := &Env{Census: running{}, Site: &config.Site{}, Match: func(*config.Expr) (matcher.Matcher, error) { return nil, nil }}
	for _, c := range []struct {
		path    string
		options []config.Node
		want    string
	}{
		{"lb-stats", nil, "begins with a slash"},
		{"/lb-*", nil, "without patterns"},
		{"/lb-stats;csv", nil, "come by themselves"},
		{"/lb-stats/", nil, "empty part"},
		{"/a//b", nil, "empty part"},
		{"/lb-stats", []config.Node{option("auth", "a", "hunter2")}, "loadstar hash-password"},
		{"/lb-stats", []config.Node{option("auth", "a", statsHash), option("auth", "a", statsHash)}, "two users"},
		{"/lb-stats", []config.Node{option("admin")}, "needs users"},
	} {
		if _, err := Stats.New(node(t, Stats, "", []string{c.path}, c.options...), env); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: %v, want %q", c.path, c.options, err, c.want)
		}
	}
	env.Site.Body = []config.Node{{Word: "basic_auth"}}
	if _, err := Stats.New(node(t, Stats, "", []string{"/s"}, option("admin")), env); err != nil {
		t.Errorf("with basic_auth before it: %v", err)
	}
}

// TestStatsPasses: requests for something else pass without an allocation.
func TestStatsPasses(t *testing.T) {
	h, _ := statistics(t, users2()...)
	x, _ := visit(t, "/img/logo.png")
	if n := testing.AllocsPerRun(100, func() { _, _ = h.Handle(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// counted is a census that counts how often it is taken.
type counted struct{ n *int }

func (c counted) Census() *census.Census { *c.n++; return running{}.Census() }

func TestStatsPagesShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recent
		a, b := counted{new(int)}, counted{new(int)}
		for range 3 {
			for range 10 {
				if len(r.of(a).Pools) != 1 {
					t.Error("nothing is in it")
				}
			}
			time.Sleep(liveEvery)
		}
		if r.of(b); *a.n != 3 || *b.n != 1 {
			t.Errorf("it was taken %d times in three seconds, and %d times of another source", *a.n, *b.n)
		}
	})
}

func TestStatsPagesAreLimited(t *testing.T) {
	h, _ := statistics(t)
	openPages.Add(maxLive)
	defer openPages.Add(-maxLive)
	x, _ := visit(t, "/lb-stats;live")
	if _, err := h.Handle(x); err == nil || err.(*flow.Error).Status != 503 {
		t.Errorf("one page more: %v", err)
	}
}
