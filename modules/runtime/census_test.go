package runtime_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/measure"
	"github.com/loadstar-lb/loadstar/modules/metrics"
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

// TestCountedStreams: a stream is an exchange without a status, whose bytes and
// times count when it has ended.
func TestCountedStreams(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	r, port := newRuntime(t), freePort(t)
	_, errs := r.Apply(load(t, fmt.Sprintf("tcp://127.0.0.1:%d {\n\tlog off\n\tproxy echo\n}\npool echo {\n\tserver one %s\n}\n", port, echo.Addr())))
	if errs.HasErrors() {
		t.Fatal(errs)
	}
	const streams = 20
	for i := range streams {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Fatal(string(b), err)
		}
		if i == 0 {
			if n := r.Census(); n.Sites[0].Active != 1 || n.Sites[0].Exchanges() != 0 || n.Pools[0].Active != 1 {
				t.Errorf("while it goes on: %+v", n.Sites[0])
			}
		}
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.ReadAll(c)
		_ = c.Close()
	}
	eventually(t, "the streams are counted", func() bool { return r.Census().Sites[0].Exchanges() == streams })
	c := r.Census()
	s, p := &c.Sites[0], &c.Pools[0]
	if !s.TCP || s.Classes[measure.NoStatus] != streams || s.BytesIn != 5*streams || s.BytesOut != 5*streams || s.Failed() != 0 || s.Active != 0 {
		t.Errorf("site: %+v", s.Counts)
	}
	l := &p.Servers[0].Live.Traffic
	if p.Exchanges() != streams || l.Times(measure.Connect).Count != streams || l.Times(measure.Total).Count != streams || l.Times(measure.Response).Count != 0 {
		t.Errorf("pool: %+v; %d connects, %d answers", p.Counts, l.Times(measure.Connect).Count, l.Times(measure.Response).Count)
	}
}

// TestCensusOfMany: 10,000 servers are described in a moment, and what they cost
// while nothing happens is bounded.
func TestCensusOfMany(t *testing.T) {
	var text strings.Builder
	for p := range 100 {
		fmt.Fprintf(&text, "pool p%d {\n", p)
		for s := range 100 {
			fmt.Fprintf(&text, "\tserver s%d 127.0.0.1:9\n", s)
		}
		text.WriteString("}\n")
	}
	r := newRuntime(t)
	if _, errs := r.Apply(load(t, site(freePort(t), "x")+text.String())); errs.HasErrors() {
		t.Fatal(errs)
	}
	begin := time.Now()
	c := r.Census()
	t.Logf("a census in %v", time.Since(begin))
	n := 0
	for _, p := range c.Pools {
		n += len(p.Servers)
	}
	if n != 10_000 {
		t.Errorf("%d servers", n)
	}
	begin = time.Now()
	var out strings.Builder
	f, _ := metrics.Negotiate("")
	if err := metrics.New(r, 0).Write(&out, f); err != nil {
		t.Fatal(err)
	}
	t.Logf("a scrape of %d bytes in %v", out.Len(), time.Since(begin))
	if !strings.Contains(out.String(), `loadstar_metrics_summed_up{kind="server"} 9000`+"\n") || out.Len() > 20<<20 {
		t.Errorf("%d bytes", out.Len())
	}
}
