package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// serverProcess starts a server of its own process: another Loadstar, which speaks a
// version of HTTP and does what a line of a site says.
func serverProcess(t *testing.T, port int, version, does string) *rig.Process {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Lbfile")
	scheme, secure := "http", ""
	if version == "h3" {
		scheme, secure = "https", "\ttls internal protocols h1 h2 h3\n"
	}
	text := fmt.Sprintf("{\n\tadmin off\n\tstate %s/state\n}\n%s://localhost:%d {\n\tbind 127.0.0.1\n\tlog off\n%s\t%s\n}\n", dir, scheme, port, secure, does)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := rig.Start(exec.Command(e2e.Binary(t), "run", "--config", file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(time.Second) })
	if err := p.Answers(e2e.Patience, rig.Addr(port)); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestServerKilledUnderLoad kills one of two servers under load. With the
// default configuration no client of a safe request sees anything of it.
func TestServerKilledUnderLoad(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"h1", "h2c", "h3"} {
		t.Run(version, func(t *testing.T) { t.Parallel(); killedUnderLoad(t, version) })
	}
}

// killable is a proxy before two servers that speak a version of HTTP.
func killable(version string, ports []int) string {
	secure := ""
	if version == "h3" {
		secure = "\ttls verify off name localhost\n"
	}
	return fmt.Sprintf("http://:%d {\n\tlog off\n\tproxy farm\n}\npool farm {\n%s\tprotocol %s\n\tserver one 127.0.0.1:%d\n\tserver two 127.0.0.1:%d\n}\n",
		ports[0], secure, version, ports[1], ports[2])
}

func killedUnderLoad(t *testing.T, version string) {
	const clients, before, after = 24, 2000, 4000
	ports := e2e.Ports(t, 3)
	victim := serverProcess(t, ports[1], version, `respond 200 "answer"`)
	serverProcess(t, ports[2], version, `respond 200 "answer"`)
	e2e.Run(t, killable(version, ports), ports[0])
	var done, failed atomic.Int64
	var kill sync.Once
	var wg sync.WaitGroup
	for i := range clients {
		method := []string{"GET", "OPTIONS", "HEAD"}[i%3]
		c := e2e.Dial(t, ports[0])
		wg.Go(func() {
			for done.Add(1) <= before+after {
				if done.Load() >= before {
					kill.Do(func() { _ = victim.Signal(syscall.SIGKILL) })
				}
				c.Send(method + " / HTTP/1.1\r\nHost: localhost\r\n\r\n")
				a := c.Answer(method)
				if a.Status != 200 || !a.Complete || method != "HEAD" && a.Body != "answer" {
					failed.Add(1)
					t.Errorf("%s: %d %q %v", method, a.Status, a.Body, a.Err)
					return
				}
			}
		})
	}
	wg.Wait()
	if ended, _ := victim.Ended(); !ended {
		t.Error("the victim lives: nothing was tested")
	}
	t.Logf("%d requests, %d failed", before+after, failed.Load())
}

// TestKilledDoublesNothing kills one of two servers under a load of POSTs. Each reaches
// the origin behind them once, or not at all, and what was answered 200 was there.
func TestKilledDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"h1", "h2c", "h3"} {
		t.Run(version, func(t *testing.T) { t.Parallel(); killedDoublesNothing(t, version) })
	}
}

func killedDoublesNothing(t *testing.T, version string) {
	const clients, before, after = 12, 600, 1200
	var mu sync.Mutex
	seen := map[string]int{}
	origin := echoing(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		seen[string(b)]++
		mu.Unlock()
		_, _ = w.Write(b)
	})
	ports := e2e.Ports(t, 3)
	does := fmt.Sprintf("proxy 127.0.0.1:%d", origin)
	victim := serverProcess(t, ports[1], version, does)
	serverProcess(t, ports[2], version, does)
	e2e.Run(t, killable(version, ports), ports[0])
	var done, failed atomic.Int64
	var kill sync.Once
	var wg sync.WaitGroup
	for range clients {
		c := e2e.Dial(t, ports[0])
		wg.Go(func() {
			for n := done.Add(1); n <= before+after; n = done.Add(1) {
				if n >= before {
					kill.Do(func() { _ = victim.Signal(syscall.SIGKILL) })
				}
				id := fmt.Sprintf("%08d", n)
				c.Send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n" + id)
				a := c.Answer("POST")
				mu.Lock()
				times := seen[id]
				mu.Unlock()
				switch {
				case a.Status == 502: // nobody can tell
					failed.Add(1)
				case a.Status != 200 || a.Body != id || times != 1:
					t.Errorf("%s: %d %q (%v), seen %d times", id, a.Status, a.Body, a.Err, times)
					return
				}
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s was seen %d times", id, n)
		}
	}
	if failed.Load() > 2*clients { // those that were under way, and who came before it was noticed
		t.Errorf("%d of %d failed", failed.Load(), before+after)
	}
	t.Logf("%d requests, %d failed", before+after, failed.Load())
}
