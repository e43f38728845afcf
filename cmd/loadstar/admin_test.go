package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
	"github.com/loadstar-lb/loadstar/modules/census"
)

// control records orders, and refuses configurations that say "bad".
type control struct {
	api.Process // what is not asked
	past        history.Log
	name        string
	src         []byte
	n           int
}

func (c *control) Load(_ context.Context, order api.Load) api.Outcome {
	name, src := order.Name, order.Src
	c.name, c.src = name, src
	c.n++
	o := api.Outcome{Generation: 7, Sources: &dsl.Sources{}}
	if strings.Contains(string(src), "bad") {
		o.Sources.Add(name, string(src))
		at := diag.Range{File: name, Start: diag.Pos{Line: 1, Column: 1}, End: diag.Pos{Offset: 3, Line: 1, Column: 4}}
		o.Diagnostics.Add(at, "some-rule", "this is bad")
	}
	return o
}

func (c *control) Status() api.Status { return api.Status{Generation: 7, LastLoadOK: true} }

func (c *control) Tag() string { return `"7"` }

func (c *control) History() *history.Log { return &c.past }

func (c *control) Pending() (history.Pending, bool) { return history.Pending{}, false }

func (c *control) Upgrade(context.Context) (int, error) { c.n++; return 4711, nil }

func (c *control) Census() *census.Census {
	return &census.Census{Pools: []census.Pool{{Name: "web", Servers: []census.Server{{Pool: "web", Name: "one", Address: "10.0.0.1:80", Up: true}}}}}
}

func newAdmin(c *control) *admin {
	return &admin{control: c, log: slog.New(slog.DiscardHandler)}
}

func TestAdminGuards(t *testing.T) {
	const load = "/load"
	octets := map[string]string{"Content-Type": "application/octet-stream"}
	with := func(k, v string) map[string]string {
		return map[string]string{"Content-Type": "application/octet-stream", k: v}
	}
	tests := map[string]struct {
		network, method, path string
		headers               map[string]string
		host, body            string
		code                  int
	}{
		"plain":              {"tcp", "POST", load, octets, "localhost:2019", "good", 200},
		"by address":         {"tcp", "POST", load, octets, "127.0.0.1:2019", "good", 200},
		"by v6 address":      {"tcp", "POST", load, octets, "[::1]:2019", "good", 200},
		"refused config":     {"tcp", "POST", load, octets, "localhost:2019", "bad", 422},
		"rebinding":          {"tcp", "POST", load, octets, "evil.example:2019", "good", 403},
		"rebinding, lookers": {"tcp", "GET", "/status", nil, "localhost.evil.example", "", 403},
		"foreign page":       {"tcp", "POST", load, with("Origin", "http://evil.example"), "localhost:2019", "good", 403},
		"page of a file":     {"tcp", "POST", load, with("Origin", "null"), "localhost:2019", "good", 403},
		"own page":           {"tcp", "POST", load, with("Origin", "http://localhost:2019"), "localhost:2019", "good", 200},
		"form":               {"tcp", "POST", load, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, "localhost:2019", "good", 415},
		"text form":          {"tcp", "POST", load, map[string]string{"Content-Type": "text/plain;charset=utf-8"}, "localhost:2019", "good", 415},
		"upload form":        {"tcp", "POST", load, map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, "localhost:2019", "good", 415},
		"broken type":        {"tcp", "POST", load, map[string]string{"Content-Type": "text/plain; ="}, "localhost:2019", "good", 415},
		"by link":            {"tcp", "GET", load, nil, "localhost:2019", "", 405},
		"unix":               {"unix", "POST", load, octets, "loadstar", "good", 200},
		"page over unix":     {"unix", "POST", load, with("Origin", "http://localhost"), "loadstar", "good", 403},
		"unknown":            {"unix", "POST", "/stop", octets, "loadstar", "", 404},
		"too long":           {"unix", "POST", load, octets, "loadstar", strings.Repeat("#", syntax.MaxSize+1), 413},
		"reload":             {"unix", "POST", "/reload", nil, "loadstar", "", 200},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := &control{}
			req := httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body))
			req.Host = tc.host
			for k, v := range tc.headers {
				req.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			newAdmin(c).handler(tc.network).ServeHTTP(w, req)
			if w.Code != tc.code {
				t.Errorf("status %d (%s), want %d", w.Code, strings.TrimSpace(w.Body.String()), tc.code)
			}
			if reached := c.n > 0; reached != (tc.code == 200 || tc.code == 422) {
				t.Errorf("the order was carried out: %v", reached)
			}
		})
	}
}

func TestAdminAnswers(t *testing.T) {
	ask := func(accept string) *httptest.ResponseRecorder {
		req := httptest.NewRequest("POST", "/load?name=x.lb", strings.NewReader("bad config"))
		req.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		newAdmin(&control{}).handler("unix").ServeHTTP(w, req)
		return w
	}
	text := ask("*/*").Body.String()
	if !strings.Contains(text, "x.lb:1:1: error: this is bad  [some-rule]") || !strings.Contains(text, "^^^") {
		t.Errorf("as text:\n%s", text)
	}
	var got api.Loaded
	if err := json.Unmarshal(ask("application/json").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.OK || got.Generation != 7 || len(got.Diagnostics) != 1 || got.Diagnostics[0].Rule != "some-rule" {
		t.Errorf("as JSON: %+v", got)
	}
}

// TestAdminMoves goes from one address to another: first it is bound, and only
// commit makes it the one in force.
func TestAdminMoves(t *testing.T) {
	dir := t.TempDir()
	first, second := "unix/"+filepath.Join(dir, "a"), "unix/"+filepath.Join(dir, "b")
	a := newAdmin(&control{})
	t.Cleanup(a.Close)
	answers := func(addr string) bool {
		o, err := postLoad(context.Background(), addr, "", nil)
		return err == nil && o.OK && o.Generation == 7
	}
	move := func(addr string) (commit, abort func()) {
		t.Helper()
		commit, abort, err := a.move(addr, true)
		if err != nil {
			t.Fatal(err)
		}
		return commit, abort
	}
	commit, _ := move(first)
	commit()
	if info, err := os.Stat(filepath.Join(dir, "a")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the socket: %v, %v", info, err)
	}
	if !answers(first) {
		t.Error("no answer at the first address")
	}
	_, abort := move(second)
	abort()
	if !answers(first) || answers(second) {
		t.Error("a refused configuration moved the endpoint")
	}
	if _, _, err := a.move("127.0.0.1:99999", true); err == nil || !answers(first) {
		t.Errorf("an address that cannot be had: %v", err)
	}
	if _, _, err := a.move("192.0.2.1:2019", true); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("a foreign address: %v", err)
	}
	if _, _, err := a.move("nonsense", true); err == nil {
		t.Error("nonsense was taken for an address")
	}
	commit, _ = move(second)
	commit()
	if !answers(second) {
		t.Error("no answer at the second address")
	}
	waitFor(t, func() bool { return !answers(first) })
	commit, _ = move("off")
	commit()
	waitFor(t, func() bool { return !answers(second) })
}

// TestAdminKeepsOffLiveSockets has another process serve the address.
func TestAdminKeepsOffLiveSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, _, err := newAdmin(&control{}).move("unix/"+path, true); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("taken from another process: %v", err)
	}
	// At the default address that is no reason not to run.
	if commit, _, err := newAdmin(&control{}).move("unix/"+path, false); err != nil || commit == nil {
		t.Errorf("the default address: %v", err)
	}
}

// TestAdminConnectionsAreBounded opens more than the endpoint takes; those who
// wait are served when others have left.
func TestAdminConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limitListener(inner, 2)
	accepted := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	one, two := <-accepted, <-accepted
	select {
	case <-accepted:
		t.Error("a third connection was taken")
	case <-time.After(50 * time.Millisecond): // that nothing happens has no event
	}
	one.Close()
	one.Close() // counts once
	three := <-accepted
	l.Close()
	two.Close()
	three.Close()
	if _, open := <-accepted; open {
		t.Error("accepted after the end")
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("timed out")
		}
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	n := newNotifier()
	n.reloading()
	n.ready()
	n.stopping(5 * time.Second)
	var got []string
	buf := make([]byte, 256)
	for range 3 {
		l.SetReadDeadline(time.Now().Add(10 * time.Second))
		m, err := l.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(buf[:m]))
	}
	usec, ok := strings.CutPrefix(got[0], "RELOADING=1\nMONOTONIC_USEC=")
	if !ok || strings.Trim(usec, "0123456789") != "" || usec == "" || got[1] != "READY=1" || got[2] != "STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000" {
		t.Errorf("systemd was told %q", got)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	newNotifier().ready() // nobody asked
	if err := l.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Read(buf); err == nil {
		t.Error("told somebody who had not asked")
	}
}
