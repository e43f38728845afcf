package runtime_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/overlay"
)

// named answers requests with its name, and streams that send a line.
func named(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, name)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

// A request that began before a server was added, and that chooses its server after
// the last one it knew was drained, goes to the new one: its generation has nobody
// left, but the pool has.
func TestSuccessorServes(t *testing.T) {
	port := freePort(t)
	r := newRuntime(t)
	defer stop(r, 10*time.Second)
	apply(t, r, fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\tproxy web\n}\npool web {\n\tbalance url_param id check_post\n\tserver one %s\n}\n",
		port, named(t, "one")))
	c, err := connect(port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The balance waits for the body, which comes when everything has changed.
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 100 {
		t.Fatalf("%v, %v", res, err)
	}
	do(t, r, overlay.Change{Kind: overlay.Add, Server: "two", Address: named(t, "two")})
	do(t, r, overlay.Change{Kind: overlay.Drain, Server: "one"})
	_, _ = io.WriteString(c, "id=1")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); string(body) != "two" || err != nil {
		t.Errorf("%d %q, %v", res.StatusCode, body, err)
	}
	if again, err := c.post(); again != "two" && err != errEnded {
		t.Errorf("the next one: %q, %v", again, err)
	}
}

// The same behind a try that failed: the server that was tried is one of the generation
// before, which the policies of the new one have never seen.
func TestSuccessorServesRetries(t *testing.T) {
	for _, balance := range []string{"roundrobin", "leastconn", "random", "source", "url_param id", "first"} {
		t.Run(balance, func(t *testing.T) {
			t.Parallel() // each waits a second before it tries the only server again
			port := freePort(t)
			r := newRuntime(t)
			defer stop(r, 10*time.Second)
			two := named(t, "two")
			one, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for _, c := range []overlay.Change{
					{Kind: overlay.Add, Pool: "web", Server: "two", Address: two}, {Kind: overlay.Drain, Pool: "web", Server: "one"},
				} {
					if err := r.Overlay().Do(context.Background(), c); err != nil {
						t.Errorf("%s: %v", c.String(), err)
					}
				}
				panic(http.ErrAbortHandler) // ends the connection without an answer
			})}
			go func() { _ = s.Serve(one) }()
			defer s.Close()
			apply(t, r, fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\tproxy web\n}\npool web {\n\tbalance %s\n\tretry 3 on empty_response\n\tserver one %s\n}\n",
				port, balance, one.Addr()))
			res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/?id=1", port))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); string(body) != "two" || err != nil {
				t.Errorf("%d %q, %v", res.StatusCode, body, err)
			}
		})
	}
}

// The same for a stream that waits in line.
func TestSuccessorServesStreams(t *testing.T) {
	port := freePort(t)
	r := newRuntime(t)
	defer stop(r, 10*time.Second)
	one := named(t, "one")
	apply(t, r, fmt.Sprintf("tcp://127.0.0.1:%d {\n\tlog off\n\tproxy web\n}\npool web {\n\tqueue timeout 20s\n\tserver one %s maxconn 1\n}\n", port, one))
	first, err := connect(port)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if body, err := first.post(); body != "one" {
		t.Fatalf("%q, %v", body, err)
	}
	second, err := connect(port) // waits for first to end
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	for end := time.Now().Add(20 * time.Second); r.Census().Pools[0].Queued == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	do(t, r, overlay.Change{Kind: overlay.Add, Server: "two", Address: named(t, "two")})
	do(t, r, overlay.Change{Kind: overlay.Drain, Server: "one"})
	if body, err := second.post(); body != "two" {
		t.Errorf("%q, %v", body, err)
	}
}
