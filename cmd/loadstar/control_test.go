package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// orders is a client of an instance's admin endpoint.
type orders struct {
	t *testing.T
	c *http.Client
}

func ordersTo(t *testing.T, in *e2e.Instance) orders {
	return orders{t, &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", in.Dir+"/admin.sock")
	}}}}
}

// do gives an order and wants it carried out; the answer is decoded.
func (o orders) do(method, path, body string, into any) {
	o.t.Helper()
	req, err := http.NewRequest(method, "http://loadstar"+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	resp, err := o.c.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		o.t.Fatalf("%s %s %s: %s %s (%v)", method, path, body, resp.Status, got, err)
	}
	if into != nil {
		if err := json.Unmarshal(got, into); err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o orders) change(format string, args ...any) {
	o.t.Helper()
	o.do("POST", "/changes", fmt.Sprintf(format, args...), nil)
}

// introduced is a server that says who it is, a moment after it was asked.
func introduced(t *testing.T, name string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(time.Millisecond)
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Servers are added, drained and removed under load: no request is lost, and what
// is said counts from the answer on, over reloads, too.
func TestControlLosesNothing(t *testing.T) {
	t.Parallel()
	one, two := introduced(t, "one"), introduced(t, "two")
	port := e2e.Ports(t, 1)[0]
	in := e2e.Run(t, fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\tproxy web\n}\npool web {\n\tserver one %s\n}\n", port, one), port)
	o := ordersTo(t, in)
	url := "http://" + rig.Addr(port) + "/"
	ask := func(c *http.Client) (string, error) {
		resp, err := c.Post(url, "text/plain", strings.NewReader("what no client repeats by itself"))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != 200 {
			err = fmt.Errorf("%s %s", resp.Status, body)
		}
		return string(body), err
	}
	var stop atomic.Bool
	var asked, lost atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for !stop.Load() {
				asked.Add(1)
				if _, err := ask(c); err != nil {
					lost.Add(1)
					t.Error(err)
				}
			}
		})
	}
	fresh := &http.Client{Transport: &http.Transport{}}
	defer fresh.CloseIdleConnections()
	only := func(when, want string) {
		t.Helper()
		for range 3 {
			if got, err := ask(fresh); err != nil || got != want {
				t.Errorf("%s: answered by %q (%v), want %q", when, got, err, want)
			}
		}
	}
	for round := range 25 {
		only("at first", "one")
		o.change(`{"kind":"add","pool":"web","server":"two","address":"%s","options":"weight 3"}`, two)
		o.change(`{"kind":"%s","pool":"web","server":"one"}`, []string{"drain", "maint"}[round%2])
		only("drained", "two")
		if round == 0 {
			o.do("POST", "/reload", "", nil)
			only("drained, after a reload", "two")
		}
		o.change(`{"kind":"ready","pool":"web","server":"one"}`)
		o.change(`{"kind":"weight","pool":"web","server":"two","weight":"0"}`)
		only("weight 0", "one")
		o.change(`{"kind":"weight","pool":"web","server":"two","weight":"200%%"}`)
		o.change(`{"kind":"remove","pool":"web","server":"two"}`)
		only("removed", "one")
	}
	stop.Store(true)
	wg.Wait()
	if lost.Load() != 0 || asked.Load() < 20 {
		t.Errorf("%d of %d requests lost", lost.Load(), asked.Load())
	}
	t.Logf("%d requests, %d lost", asked.Load(), lost.Load())
}

// What is in flight is listed, and ended: a tunnel, a stream, and an exchange that
// waits for its answer.
func TestControlShutsSessions(t *testing.T) {
	origin := switching(t)
	silent := rawServer(t, func(c net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) })
	ports := e2e.Ports(t, 3)
	in := e2e.Run(t, fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\tproxy web\n}\nhttp://:%d {\n\tbind 127.0.0.1\n\tlog off\n\tproxy slow\n}\n"+
		"tcp://:%d {\n\tbind 127.0.0.1\n\tlog off\n\tproxy mail\n}\npool web {\n\tserver one 127.0.0.1:%d\n}\npool slow {\n\tretry 0\n\tserver s 127.0.0.1:%d\n}\n"+
		"pool mail {\n\tserver m 127.0.0.1:%d\n}\n", ports[0], ports[1], ports[2], origin, silent, silent), ports...)
	o := ordersTo(t, in)
	tunnel := e2e.Dial(t, ports[0])
	tunnel.Send(upgrade)
	if a := tunnel.Answer("GET"); a.Status != 101 {
		t.Fatalf("%d (%v)", a.Status, a.Err)
	}
	waits := e2e.Dial(t, ports[1])
	waits.Send("GET /slow?token=secret HTTP/1.1\r\nHost: a\r\n\r\n")
	stream := e2e.Dial(t, ports[2])
	stream.Send("EHLO")
	type session struct{ ID, Kind, Pool, Server, Client, Method, Target string }
	var all struct{ Sessions []session }
	for end := time.Now().Add(30 * time.Second); len(all.Sessions) < 3 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		o.do("GET", "/sessions", "", &all)
	}
	kinds := map[string]session{}
	for _, s := range all.Sessions {
		kinds[s.Kind] = s
		if s.Client != "127.0.0.1" {
			t.Errorf("client %q", s.Client)
		}
	}
	if x := kinds["exchange"]; x.Method != "GET" || x.Target != "/slow" || x.Pool != "slow" {
		t.Errorf("the exchange is shown as %+v", x)
	}
	var n struct{ Count int }
	o.do("DELETE", "/sessions?pool=web&server=one", "", &n)
	if n.Count != 1 {
		t.Errorf("%d tunnels shut", n.Count)
	}
	if rest, _ := io.ReadAll(tunnel.R); strings.Contains(string(rest), "bye") {
		t.Errorf("the tunnel ended by itself: %q", rest)
	}
	o.do("DELETE", "/sessions?id="+kinds["stream"].ID, "", &n)
	if _, err := io.ReadAll(stream.R); n.Count != 1 {
		t.Errorf("%d streams shut (%v)", n.Count, err)
	}
	o.change(`{"kind":"shut","pool":"slow","server":"s"}`)
	if a := waits.Answer("GET"); a.Status != 502 {
		t.Errorf("the exchange got %d (%v), want 502", a.Status, a.Err)
	}
	resp, err := o.c.Get("http://loadstar/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, _ := io.ReadAll(resp.Body)
	blamed := regexp.MustCompile(`loadstar_server_response_errors_total\{[^}]*pool="slow"[^}]*\} (\d+)`).FindSubmatch(metrics)
	if blamed == nil || string(blamed[1]) != "0" {
		t.Errorf("the server is blamed for what was shut: %q", blamed)
	}
	for end := time.Now().Add(30 * time.Second); len(all.Sessions) > 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		o.do("GET", "/sessions", "", &all)
	}
	if len(all.Sessions) != 0 {
		t.Errorf("left: %+v", all.Sessions)
	}
	// A client's connection is closed by its number.
	idle := e2e.Dial(t, ports[0])
	var open struct {
		Connections []struct {
			ID   uint64
			Peer string
			Idle bool
		}
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		o.do("GET", "/connections", "", &open)
		for _, c := range open.Connections {
			if c.Peer == idle.Conn.LocalAddr().String() {
				o.do("DELETE", fmt.Sprintf("/connections/%d", c.ID), "", &n)
				if !idle.Closed() {
					t.Error("it is still open")
				}
				return
			}
		}
	}
	t.Errorf("the connection is not listed: %+v", open)
}
