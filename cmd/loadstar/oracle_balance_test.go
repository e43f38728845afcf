package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// The oracle of balancing: HAProxy and Loadstar get equivalent configurations and
// the same requests, and it is compared which server answers.

// contest is one pool in both languages, and what is asked of it.
type contest struct {
	name     string
	haproxy  string // lines of a backend
	loadstar string // lines of a pool
	weights  []int
	// state is of servers, from 1: disabled or backup, which both languages say
	// alike; dead is an address where nobody listens.
	state  map[int]string
	probed bool
	ask    func(i int) ask
	n      int
	// differs is why the answers may not be the same; then they must not be.
	differs string
}

// ask is one request. Without a source it goes over the contest's one connection.
type ask struct {
	method, target string // GET and /
	fields         []string
	body           string
	source         string
}

// farm is the servers: each answers with its number.
type farm struct {
	addrs   []string
	mu      sync.Mutex
	release chan struct{} // requests below /hold wait for it to be closed
	arrived chan int      // the numbers of the servers they have come to
}

func newFarm(t *testing.T, n int) *farm {
	f := &farm{arrived: make(chan int, 1000), release: make(chan struct{})}
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f.addrs = append(f.addrs, l.Addr().String())
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/hold") {
				f.mu.Lock()
				release := f.release
				f.mu.Unlock()
				f.arrived <- i + 1
				<-release
			}
			w.Header().Set("X-Origin", fmt.Sprint(i+1))
		})}
		go func() { _ = srv.Serve(l) }()
		t.Cleanup(func() { _ = srv.Close() })
	}
	t.Cleanup(f.letGo)
	return f
}

// letGo ends the waiting of all that are held.
func (f *farm) letGo() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.release)
	f.release = make(chan struct{})
}

// startHAProxy runs the contests' backends behind one port, chosen by a header.
func startHAProxy(t *testing.T, contests []contest, f *farm) (port int, out *rig.Process) {
	t.Helper()
	bin := haproxyPath(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // opened here, so that no port needs guessing
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(); _ = file.Close() })
	var b strings.Builder
	b.WriteString("global\n nbthread 1\n maxconn 2000\ndefaults\n mode http\n timeout client 30s\n timeout server 30s\n timeout connect 5s\n timeout queue 5s\n")
	b.WriteString("frontend f\n bind fd@3\n use_backend %[req.hdr(x-pool)]\n")
	for i := range contests {
		fmt.Fprintf(&b, "backend p%d\n%s", i, indented(contests[i].haproxy))
		probe := ""
		if contests[i].probed {
			probe = " check inter 100ms fall 1"
		}
		contests[i].servers(&b, f, probe)
	}
	cfg := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(cfg, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-db", "-f", cfg)
	cmd.ExtraFiles = []*os.File{file}
	p, err := rig.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Signal(os.Kill)
		<-p.Done()
		if t.Failed() {
			t.Logf("HAProxy printed:\n%s", p.Output())
		}
	})
	return l.Addr().(*net.TCPAddr).Port, p
}

// startLoadstar gives each pool a port of its own: to walk as many matchers as there
// are contests would take most of the test's time under the race detector.
func startLoadstar(t *testing.T, contests []contest, f *farm) (ports []int, in *e2e.Instance) {
	t.Helper()
	ports = e2e.Ports(t, len(contests))
	var b strings.Builder
	for i := range contests {
		fmt.Fprintf(&b, "http://:%d {\n bind 127.0.0.1\n log off\n forwardfor off\n proxy p%d\n}\n", ports[i], i)
		fmt.Fprintf(&b, "pool p%d {\n%s", i, indented(contests[i].loadstar))
		if contests[i].probed {
			b.WriteString(" health tcp interval 100ms fall 1\n")
		}
		contests[i].servers(&b, f, "")
		b.WriteString("}\n")
	}
	return ports, e2e.Run(t, b.String(), ports...)
}

func indented(lines string) string {
	return " " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n ") + "\n"
}

// servers writes the servers, which both languages do alike.
func (c *contest) servers(b *strings.Builder, f *farm, more string) {
	for i, w := range c.weights {
		addr, state := f.addrs[i], c.state[i+1]
		if state == "dead" {
			addr, state = "127.0.0.1:1", ""
		}
		fmt.Fprintf(b, " server s%d %s weight %d %s%s\n", i+1, addr, w, state, more)
	}
}

// client sends the requests of one contest to one proxy.
type client struct {
	t    *testing.T
	port int
	pool string
	c    *e2e.Client
}

func (k *client) text(a ask) string {
	method, target := a.method, a.target
	if method == "" {
		method = "GET"
	}
	if target == "" {
		target = "/"
	}
	host := "Host: h\r\n"
	for _, f := range a.fields {
		if strings.HasPrefix(f, "Host:") {
			host = ""
		}
	}
	fields := strings.Join(append(slices.Clone(a.fields), ""), "\r\n")
	if a.body != "" && !strings.Contains(fields, "chunked") {
		fields += fmt.Sprintf("Content-Length: %d\r\n", len(a.body))
	}
	return method + " " + target + " HTTP/1.1\r\n" + host + "X-Pool: " + k.pool + "\r\n" + fields + "\r\n" + a.body
}

// do gives the numbers of the servers that answered, or statuses. The requests are
// sent together and answered in turn, which is much quicker than one by one.
func (k *client) do(asks []ask) (got []string) {
	k.t.Helper()
	c := k.conn(asks[0])
	var all strings.Builder
	for _, a := range asks {
		all.WriteString(k.text(a))
	}
	c.Send(all.String())
	for _, a := range asks {
		method := a.method
		if method == "" {
			method = http.MethodGet
		}
		answer := c.Answer(method)
		for answer.Status == http.StatusContinue {
			answer = c.Answer(method)
		}
		server := answer.Header.Get("X-Origin")
		if server == "" {
			server = fmt.Sprint(answer.Status)
		}
		got = append(got, server)
		if answer.Close || answer.Err != nil || a.source != "" {
			k.close()
			break
		}
	}
	return got
}

func (k *client) close() {
	if k.c != nil {
		k.c.Close()
		k.c = nil
	}
}

func (k *client) conn(a ask) *e2e.Client {
	k.t.Helper()
	if k.c == nil {
		k.c = e2e.DialFrom(k.t, a.source, k.port)
	}
	return k.c
}

func (c *contest) play(t *testing.T, i, port int) []string {
	t.Helper()
	k := &client{t: t, port: port, pool: fmt.Sprintf("p%d", i)}
	defer k.close()
	var got []string
	for len(got) < c.n {
		asks := []ask{c.ask(len(got))}
		for n := len(got) + 1; n < c.n && len(asks) < 25 && asks[0].source == ""; n++ {
			asks = append(asks, c.ask(n))
		}
		got = append(got, k.do(asks)...)
	}
	return got
}

// TestOracleBalance plays all contests and counts.
func TestOracleBalance(t *testing.T) {
	t.Parallel()
	contests := contests()
	f := newFarm(t, 6)
	theirs, haproxy := startHAProxy(t, contests, f)
	ours, loadstar := startLoadstar(t, contests, f)
	waitForDown(t, contests, haproxy, loadstar.Process)
	var all, same, deliberate atomic.Int64
	t.Run("all", func(t *testing.T) { // two at a time: each waits for its answers most of the time
		for i := range contests {
			c := &contests[i]
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				want, got := c.play(t, i, theirs), c.play(t, i, ours[i])
				agree := 0
				for n := range got {
					if got[n] == want[n] {
						agree++
					}
				}
				if c.differs != "" {
					deliberate.Add(int64(c.n))
					t.Logf("deliberate: %d of %d decisions agree, because %s", agree, c.n, c.differs)
					if agree == c.n {
						t.Error("they agree; this is no difference any more")
					}
					return
				}
				all.Add(int64(c.n))
				same.Add(int64(agree))
				if agree != c.n {
					t.Errorf("%d of %d\n   ours %s\nHAProxy %s", agree, c.n, strings.Join(got, ""), strings.Join(want, ""))
				}
			})
		}
	})
	t.Logf("%d contests, %d comparisons, %d agreements; beside these %d where the difference is deliberate", len(contests), all.Load(), same.Load(), deliberate.Load())
}

// waitForDown waits until both have marked down the servers that are dead.
func waitForDown(t *testing.T, contests []contest, processes ...*rig.Process) {
	t.Helper()
	for i, c := range contests {
		for n, state := range c.state {
			if state != "dead" || !c.probed {
				continue
			}
			word := fmt.Sprintf("p%d/s%d is DOWN", i, n)
			for _, p := range processes {
				if !rig.Until(e2e.Patience, func() bool { return strings.Contains(p.Output(), word) }) {
					t.Fatalf("%q was never said:\n%s", word, p.Output())
				}
			}
		}
	}
}

// TestOracleBoundedLoad holds requests, so that load counts, and compares where
// each next one goes.
func TestOracleBoundedLoad(t *testing.T) {
	t.Parallel()
	f := newFarm(t, 6)
	var list []contest
	for _, factor := range []int{110, 125, 150, 200} {
		for _, weights := range [][]int{{1, 1, 1}, {1, 2, 3, 4}, {5, 1, 3}} {
			list = append(list, contest{
				name:     fmt.Sprintf("balance_factor %d%%, weights %v", factor, weights),
				haproxy:  fmt.Sprintf("balance uri\nhash-type consistent\nhash-balance-factor %d", factor),
				loadstar: fmt.Sprintf("balance uri consistent balance_factor %d%%", factor), weights: weights, n: 40,
			})
		}
	}
	theirs, _ := startHAProxy(t, list, f)
	ours, _ := startLoadstar(t, list, f)
	same, all := 0, 0
	for i, c := range list {
		want, got := f.held(t, i, theirs, c.n), f.held(t, i, ours[i], c.n)
		all += c.n
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Errorf("%s:\n   ours %v\nHAProxy %v", c.name, got, want)
			continue
		}
		same += c.n
	}
	t.Logf("%d comparisons, %d agreements", all, same)
}

// held sends requests that are all held until the last one has arrived; every
// second one is for the same key.
func (f *farm) held(t *testing.T, i, port, n int) (servers []int) {
	t.Helper()
	var conns []*e2e.Client
	for k := range n {
		target := "/hold/hot"
		if k%2 == 1 {
			target = fmt.Sprintf("/hold/%d", k*7919)
		}
		c := e2e.Dial(t, port)
		conns = append(conns, c)
		c.Send((&client{pool: fmt.Sprintf("p%d", i)}).text(ask{target: target}))
		select {
		case s := <-f.arrived:
			servers = append(servers, s)
		case <-time.After(e2e.Patience):
			t.Fatal("a request did not arrive")
		}
	}
	f.letGo()
	for _, c := range conns {
		if a := c.Answer("GET"); a.Status != 200 {
			t.Errorf("a held request: %d %v", a.Status, a.Err)
		}
		c.Close()
	}
	return servers
}
