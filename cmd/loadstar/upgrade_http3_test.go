package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// QUIC connections stay with the process that made them, over two upgrades: what is
// under way there comes to its end, in both directions, while the newest process reads
// the socket.
func TestUpgradeHTTP3(t *testing.T) {
	state := t.TempDir()
	t.Setenv("STATE_DIRECTORY", state)
	half, rest := make(chan string, 4), make(chan bool)
	origin := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
		if r.URL.Path == "/" {
			_, _ = io.WriteString(c, "ok")
			return
		}
		_, _ = io.WriteString(c, "one ")
		half <- r.URL.Path
		got, _ := io.ReadAll(r.Body) // the client goes on, too
		<-rest
		_, _ = io.WriteString(c, strings.Repeat("x", 300_000)+string(got))
	})
	port := e2e.Ports(t, 1)[0]
	d := e2e.RunDaemon(t, fmt.Sprintf("https://localhost:%d {\n\tlog off\n\ttls internal protocols h1 h2 h3\n\tproxy web\n}\npool web {\n\tserver one 127.0.0.1:%d\n}\n", port, origin), port)
	cfg := trusting(t, filepath.Join(state, "internal", "root.crt"), "localhost")

	type answer struct {
		body string
		err  error
	}
	answers := make(chan answer, 4)
	var bodies []*io.PipeWriter
	begin := func() {
		t.Helper()
		client := dialH3(t, cfg)
		pr, pw := io.Pipe()
		bodies = append(bodies, pw)
		go func() {
			req, err := http.NewRequest(http.MethodPost, "https://"+rig.Addr(port)+"/slow", pr)
			if err != nil {
				answers <- answer{err: err}
				return
			}
			req.Host = "localhost"
			res, err := client.Do(req)
			if err != nil {
				answers <- answer{err: err}
				return
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			answers <- answer{string(b), err}
		}()
		select {
		case <-half:
		case a := <-answers:
			t.Fatalf("before the upgrade: %+v", a)
		}
	}
	pids := []int{d.PID()}
	for range 2 {
		begin()
		was := pids[len(pids)-1]
		d.Signal(was, syscall.SIGUSR2)
		var pid int
		if !rig.Until(e2e.Patience*2, func() bool { pid = d.PID(); return pid != 0 && pid != was }) {
			t.Fatalf("nobody took over:\n%s", d.Output())
		}
		pids = append(pids, pid)
		if res, body := askH3(t, dialH3(t, cfg), port, "localhost", "/"); res.StatusCode != 200 || body != "ok" {
			t.Errorf("of the new process: %d %q", res.StatusCode, body)
		}
	}
	begin() // and one of the newest
	for i, w := range bodies {
		if _, err := fmt.Fprintf(w, "body %d %s", i, strings.Repeat("y", 100_000)); err != nil {
			t.Errorf("upload %d: %v", i, err)
		}
		_ = w.Close()
	}
	close(rest)
	for range bodies {
		a := <-answers
		if a.err != nil || len(a.body) < 400_000 || !strings.HasPrefix(a.body, "one xxx") || !strings.HasSuffix(a.body, "yyy") {
			t.Errorf("%d bytes, %v", len(a.body), a.err)
		}
	}
	for _, pid := range pids[:2] {
		if !rig.Until(2*e2e.Patience, func() bool { return !e2e.Alive(pid) }) {
			t.Errorf("process %d does not end:\n%s", pid, d.Output())
		}
	}
}
