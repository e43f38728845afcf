package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// poster is one client that POSTs without repeating anything, over connections that
// it keeps while it may.
func poster(addr string, id int, stop *atomic.Bool, sent *atomic.Int64) error {
	var c net.Conn
	var br *bufio.Reader
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	for n := 0; !stop.Load(); n++ {
		if c == nil {
			var err error
			if c, err = net.DialTimeout("tcp", addr, 20*time.Second); err != nil {
				return err
			}
			_ = c.SetDeadline(time.Now().Add(60 * time.Second))
			br = bufio.NewReader(c)
		}
		body := fmt.Sprintf("%d-%d", id, n)
		if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			return fmt.Errorf("request %s: %w", body, err)
		}
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return fmt.Errorf("answer to %s: %w", body, err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 || string(b) != "ok" {
			return fmt.Errorf("answer to %s: %d %q %w", body, res.StatusCode, b, err)
		}
		sent.Add(1)
		if res.Close || id%4 == 0 { // some take a new connection each time
			_ = c.Close()
			c = nil
		}
	}
	return nil
}

// echoes sends through a tunnel and reads it back, over and over.
func echoes(c net.Conn, br *bufio.Reader, stop *atomic.Bool) error {
	for n := 0; !stop.Load(); n++ {
		line := fmt.Sprintf("line %d\n", n)
		if _, err := io.WriteString(c, line); err != nil {
			return fmt.Errorf("tunnel: %w", err)
		}
		got, err := br.ReadString('\n')
		if err != nil || got != line {
			return fmt.Errorf("tunnel: %q, %w", got, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// echoServer echoes what comes, after an HTTP upgrade if it begins with a request.
func echoServer(t *testing.T) int {
	return rawServer(t, func(c net.Conn, br *bufio.Reader) {
		if b, err := br.Peek(4); err == nil && string(b) == "GET " {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		}
		_, _ = io.Copy(c, br)
	})
}

// Under load the program is replaced again and again: by signal and by command. No
// request is lost and none is sent twice, tunnels go on where they began, and a
// server that was known to be dead is not asked by those who come after.
func TestUpgradeUnderLoad(t *testing.T) {
	origin := e2e.NewOrigin(t, nil)
	var toDead atomic.Int64
	dead := e2e.NewOrigin(t, func(c net.Conn, m *e2e.Message) bool {
		if m.Method == http.MethodPost {
			toDead.Add(1)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 500 Down\r\nContent-Length: 0\r\n\r\n")
		return true
	})
	echo := echoServer(t)
	ports := e2e.Ports(t, 2)
	d := e2e.RunDaemon(t, fmt.Sprintf(`http://:%d {
	log off
	proxy /ws ws
	proxy web
}
tcp://:%d {
	log off
	proxy ws
}
http://unix/{dir}/site.sock {
	log off
	proxy web
}
pool web {
	health http GET /health interval 200ms
	server one 127.0.0.1:%d
	server two 127.0.0.1:%d
}
pool ws {
	server one 127.0.0.1:%d
}
`, ports[0], ports[1], origin.Port, dead.Port, echo), ports...)
	if !rig.Until(30*time.Second, func() bool { return strings.Contains(d.Output(), "web/two is DOWN") }) {
		t.Fatalf("the checks did not notice:\n%s", d.Output())
	}
	toDead.Store(0)

	var stop atomic.Bool
	var sent atomic.Int64
	var wg sync.WaitGroup
	fail := make(chan error, 100)
	client := func(f func() error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := f(); err != nil {
				fail <- err
			}
		}()
	}
	for id := range 8 {
		client(func() error { return poster(rig.Addr(ports[0]), id, &stop, &sent) })
	}
	tunnels := 0
	open := func() {
		for _, ws := range []bool{true, false} {
			port := ports[1]
			if ws {
				port = ports[0]
			}
			c := e2e.Dial(t, port)
			if ws {
				c.Send(upgrade)
				if a := c.Answer("GET"); a.Status != 101 {
					t.Fatalf("websocket: %d, %v", a.Status, a.Err)
				}
			}
			_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
			tunnels++
			client(func() error { defer c.Close(); return echoes(c.Conn, c.R, &stop) })
		}
	}
	pids := []int{d.PID()}
	for i := range 4 {
		open()
		was := pids[len(pids)-1]
		if i%2 == 0 {
			d.Signal(was, syscall.SIGUSR2)
		} else if out, err := exec.Command(e2e.Binary(t), "upgrade", "--config", d.File).CombinedOutput(); err != nil {
			t.Fatalf("upgrade: %v\n%s\n%s", err, out, d.Output())
		}
		var pid int // as told once: an order to the old process's endpoint may be cut while it leaves
		if !rig.Until(40*time.Second, func() bool { pid = d.PID(); return pid != 0 && pid != was }) {
			t.Fatalf("nobody took over:\n%s", d.Output())
		}
		pids = append(pids, pid)
		more := sent.Load() + 100
		if !rig.Until(30*time.Second, func() bool { return sent.Load() > more || len(fail) > 0 }) {
			t.Fatalf("no requests go through:\n%s", d.Output())
		}
	}
	for _, pid := range pids[:len(pids)-1] {
		if !e2e.Alive(pid) {
			t.Errorf("process %d ended before its tunnels", pid)
		}
	}
	if _, err := os.Stat(filepath.Join(d.Dir, "site.sock")); err != nil {
		t.Error(err)
	}
	stop.Store(true)
	wg.Wait()
	close(fail)
	for err := range fail {
		t.Error(err)
	}
	messages, _ := origin.Take()
	seen := map[string]int{}
	posts := 0
	for _, m := range messages {
		if m.Method == http.MethodPost {
			posts++
			if seen[m.Body]++; seen[m.Body] > 1 {
				t.Errorf("request %s was sent %d times", m.Body, seen[m.Body])
			}
		}
	}
	if int64(posts) != sent.Load() {
		t.Errorf("%d requests were answered, %d came to the server", sent.Load(), posts)
	}
	if n := toDead.Load(); n != 0 {
		t.Errorf("%d requests went to the dead server", n)
	}
	if !rig.Until(30*time.Second, func() bool {
		for _, pid := range pids[:len(pids)-1] {
			if e2e.Alive(pid) {
				return false
			}
		}
		return true
	}) {
		t.Errorf("a replaced process did not end with its last connection:\n%s", d.Output())
	}
	t.Logf("%d upgrades, %d requests, %d tunnels", len(pids)-1, sent.Load(), tunnels)
}

// A new process that cannot serve changes nothing, and says why.
func TestUpgradeRefused(t *testing.T) {
	origin := e2e.NewOrigin(t, nil)
	port := e2e.Ports(t, 1)[0]
	d := e2e.RunDaemon(t, plain(port, origin.Port), port)
	pid := d.PID()
	c := e2e.Dial(t, port)
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	c.Send(get)
	if a := c.Answer("GET"); a.Status != 200 {
		t.Fatalf("%+v", a)
	}
	good, err := os.ReadFile(d.File)
	if err != nil {
		t.Fatal(err)
	}
	d.Write("nonsense")
	out, err := exec.Command(e2e.Binary(t), "upgrade", "--admin", "unix/"+d.Dir+"/admin.sock").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the old process goes on") || !strings.Contains(string(out), "missing-block") {
		t.Errorf("%v\n%s", err, out)
	}
	c.Send(get)
	if a := c.Answer("GET"); a.Status != 200 || a.Close {
		t.Errorf("after a refused upgrade: %+v", a)
	}
	if d.PID() != pid {
		t.Error("somebody took over")
	}
	// And then it can.
	d.Write(string(good))
	out, err = exec.Command(e2e.Binary(t), "upgrade", "--config", d.File).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "has taken over") {
		t.Errorf("%v\n%s", err, out)
	}
	c.Send(get)
	if a := c.Answer("GET"); a.Status != 200 || !a.Close {
		t.Errorf("of the replaced process: %+v", a)
	}
	if !rig.Until(30*time.Second, func() bool { return !e2e.Alive(pid) }) {
		t.Errorf("it does not end:\n%s", d.Output())
	}
}

// What answers, but does not say that it serves, is no successor: a program that was
// put in the place of ours by mistake.
func TestUpgradeToAnotherProgram(t *testing.T) {
	port := e2e.Ports(t, 1)[0]
	program := filepath.Join(t.TempDir(), "loadstar")
	if err := os.Symlink(e2e.Binary(t), program); err != nil {
		t.Fatal(err)
	}
	d := e2e.StartDaemon(t, fmt.Sprintf("http://:%d {\n\trespond hello\n}\n", port), func(d *e2e.Daemon) *exec.Cmd {
		return exec.Command(program, "run", "--config", d.File)
	})
	d.Answers(rig.Addr(port))
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho '{}' >&3\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(e2e.Binary(t), "upgrade", "--admin", "unix/"+d.Dir+"/admin.sock").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is it Loadstar?") || !strings.Contains(string(out), "the old process goes on") {
		t.Errorf("%v\n%s", err, out)
	}
	c := e2e.Dial(t, port)
	c.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if a := c.Answer("GET"); a.Status != 200 || a.Body != "hello" {
		t.Errorf("afterwards: %+v", a)
	}
}
