package main_test

import (
	"fmt"
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

// serverProcess starts a server of its own process: another Loadstar that
// answers by itself.
func serverProcess(t *testing.T, port int) *rig.Process {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Lbfile")
	text := fmt.Sprintf("{\n\tadmin off\n}\nhttp://:%d {\n\tbind 127.0.0.1\n\tlog off\n\trespond 200 \"answer\"\n}\n", port)
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
	for _, version := range []string{"h1", "h2c"} {
		t.Run(version, func(t *testing.T) { killedUnderLoad(t, version) })
	}
}

func killedUnderLoad(t *testing.T, version string) {
	const clients, before, after = 24, 2000, 4000
	ports := e2e.Ports(t, 3)
	victim := serverProcess(t, ports[1])
	serverProcess(t, ports[2])
	e2e.Run(t, fmt.Sprintf("http://:%d {\n\tlog off\n\tproxy farm\n}\npool farm {\n\tprotocol %s\n\tserver one 127.0.0.1:%d\n\tserver two 127.0.0.1:%d\n}\n",
		ports[0], version, ports[1], ports[2]), ports[0])
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
				c.Send(method + " / HTTP/1.1\r\nHost: h\r\n\r\n")
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
