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

// A stream of HTTP/2 or HTTP/3 that does not end keeps a replaced configuration no
// longer than a tunnel does: its connection is told to go, and is then cut. Another
// client's, which has only streams of the new one, stays.
func TestGraceRetiredStreams(t *testing.T) {
	state := t.TempDir()
	t.Setenv("STATE_DIRECTORY", state)
	origin := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if r.URL.Path != "/endless" {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				continue
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
			_, _ = io.Copy(io.Discard, br)
			return
		}
	})
	port := e2e.Ports(t, 1)[0]
	config := func(options, dir string) string {
		return fmt.Sprintf("{\n\tadmin unix/%s/admin.sock\n\tgrace 1s%s\n}\nhttps://localhost:%d {\n\tlog off\n\ttls internal protocols h1 h2 h3\n\tproxy web\n}\n"+
			"pool web {\n\ttimeout stall 10m first_byte 10m\n\tserver one 127.0.0.1:%d\n}\n", dir, options, port, origin)
	}
	d := e2e.RunDaemon(t, config(" retired 1s", "{dir}"), port)
	cfg := trusting(t, filepath.Join(state, "internal", "root.crt"), "localhost")
	clients := map[string]func() *http.Client{
		"HTTP/2.0": func() *http.Client {
			tr := &http.Transport{TLSClientConfig: cfg.Clone(), ForceAttemptHTTP2: true}
			t.Cleanup(tr.CloseIdleConnections)
			return &http.Client{Transport: tr, Timeout: 2 * e2e.Patience}
		},
		"HTTP/3.0": func() *http.Client { return dialH3(t, cfg.Clone()) },
	}
	get := func(c *http.Client, path string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, "https://"+rig.Addr(port)+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "localhost"
		res, err := c.Do(req)
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, d.Output())
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	endless := map[string]io.Reader{}
	for name, client := range clients {
		res := get(client(), "/endless")
		begun := make([]byte, 5)
		if _, err := io.ReadFull(res.Body, begun); err != nil || string(begun) != "begun" || res.Proto != name {
			t.Fatalf("%s: %s %q, %v", name, res.Proto, begun, err)
		}
		endless[name] = res.Body
	}
	d.Write(config("", d.Dir))
	d.Signal(d.PID(), syscall.SIGHUP)
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(d.Output(), "generation=2") }) {
		t.Fatalf("no reload:\n%s", d.Output())
	}
	fresh := map[string]io.Reader{}
	for name, client := range clients {
		fresh[name] = get(client(), "/endless").Body
	}
	for name, body := range endless {
		over := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, body)
			over <- err
		}()
		if err := <-over; err == nil || strings.Contains(err.Error(), "Timeout") {
			t.Errorf("%s: the stream goes on, or ends as if it were whole: %v\n%s", name, err, d.Output())
		}
	}
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(d.Output(), "grace retired") }) {
		t.Errorf("nothing says why:\n%s", d.Output())
	}
	// Nor is waited any longer for what the server would have had to say to them.
	if !rig.Until(e2e.Patience, func() bool {
		sessions, _ := ordered(t, d, "ctl", "show", "sessions")
		status, _ := ordered(t, d, "ctl", "show", "status")
		return strings.Count(sessions, "/endless") == len(fresh) && strings.Contains(status, "; 0 older ones drain")
	}) {
		sessions, _ := ordered(t, d, "ctl", "show", "sessions")
		t.Errorf("the server is waited for still:\n%s", sessions)
	}
	for name, body := range fresh {
		begun := make([]byte, 5)
		if _, err := io.ReadFull(body, begun); err != nil || string(begun) != "begun" {
			t.Errorf("%s: a stream of the new configuration is cut, too: %q %v", name, begun, err)
		}
	}
}
