package runtime_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/measure"
)

// eventually waits for what comes a moment after the answer: the end of an exchange.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// TestCountedExactly has requests and reloads at the same time: each request is
// counted once, with its site, its pool and its server.
func TestCountedExactly(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer origin.Close()
	r, port := newRuntime(t), freePort(t)
	addr := origin.Listener.Addr().String()
	text := func(i int) string {
		return fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\theader X-Generation %d\n\tdeny /secret 403\n\tproxy web\n}\n"+
			"pool web {\n\tserver one %s\n\tserver two %s\n}\n", port, i, addr, addr)
	}
	if _, errs := r.Apply(load(t, text(0))); errs.HasErrors() {
		t.Fatal(errs)
	}
	const clients, each = 4, 150
	var sent atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c, err := connect(port)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range each {
				if body, err := c.post(); err != nil || body != "hello" {
					t.Errorf("%q, %v", body, err)
					return
				}
				sent.Add(1)
			}
		})
	}
	for i := range 15 {
		if _, errs := r.Apply(load(t, text(i+1))); errs.HasErrors() {
			t.Fatal(errs)
		}
		time.Sleep(time.Millisecond)
	}
	wg.Wait()
	res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/secret", port))
	if err != nil || res.StatusCode != 403 {
		t.Fatal(res, err)
	}
	res.Body.Close()

	var c *census.Census
	eventually(t, "all exchanges are counted", func() bool {
		c = r.Census()
		return c.Sites[0].Exchanges() == clients*each+1
	})
	site, pool := c.Sites[0], c.Pools[0]
	if site.Classes[2] != clients*each || site.Classes[4] != 1 || site.Failures[measure.Denied] != 1 || site.Failed() != 1 || site.TCP {
		t.Errorf("site: %+v", site.Counts)
	}
	var sum measure.Counts
	var tries int64
	for _, s := range pool.Servers {
		sum.Classes[2] += s.Classes[2]
		sum.BytesOut += s.BytesOut
		tries += s.Total
		if s.Exchanges() != s.Live.Traffic.Times(measure.Response).Count || s.State != census.Up || s.Live.Traffic.Active.Max() < 1 {
			t.Errorf("server %s: %+v", s.Name, s)
		}
	}
	if sum.Classes[2] != clients*each || tries != clients*each || pool.Total != tries || sum.BytesOut != pool.BytesOut || pool.Classes[2] != clients*each {
		t.Errorf("servers: %+v, %d tries; pool: %+v", sum, tries, pool)
	}
	if connects := pool.Live.Traffic.Times(measure.Connect).Count; connects == 0 || connects > clients*each {
		t.Errorf("%d connections made", connects)
	}
	if c.Process.Connections.Accepted != clients+1 || c.Process.Connections.Max < 1 || c.Process.Generation != 16 {
		t.Errorf("process: %+v", c.Process)
	}
}

// TestCountedFailures: what went wrong is counted where it did.
func TestCountedFailures(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // hangs up
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	r, port := newRuntime(t), freePort(t)
	_, errs := r.Apply(load(t, fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\tproxy /gone gone\n\tproxy /rude rude\n}\n"+
		"pool gone {\n\tretry 0\n\tserver one 127.0.0.1:%d\n}\npool rude {\n\tretry 0\n\tserver one %s\n}\n", port, freePort(t), l.Addr())))
	if errs.HasErrors() {
		t.Fatal(errs)
	}
	for path, status := range map[string]int{"/gone": 503, "/rude": 502, "/nowhere": 503} {
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
		if err != nil || res.StatusCode != status {
			t.Fatal(path, res, err)
		}
		res.Body.Close()
	}
	c, err := connect(port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "rubbish\r\n\r\n")
	_, _ = io.ReadAll(c)
	eventually(t, "the failures are counted", func() bool {
		c := r.Census()
		s, gone, rude := &c.Sites[0], &c.Pools[0], &c.Pools[1]
		return s.Exchanges() == 4 && s.Failures[measure.ConnectFailed] == 2 && s.Failures[measure.AnswerFailed] == 1 && s.Failures[measure.BadRequest] == 1 &&
			gone.Failures[measure.ConnectFailed] == 1 && gone.Connects == 1 && gone.Servers[0].Connects == 1 && gone.Answers == 0 &&
			rude.Failures[measure.AnswerFailed] == 1 && rude.Answers == 1 && rude.Servers[0].Answers == 1 && rude.Connects == 0
	})
}
