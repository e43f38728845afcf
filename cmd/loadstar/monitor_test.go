package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// A balancer in front of this one sees that it is about to stop while everybody is
// still served, and nothing of its asking is logged.
func TestMonitorBeforeStopping(t *testing.T) {
	origin := e2e.NewOrigin(t, nil)
	port := e2e.Ports(t, 1)[0]
	d := e2e.RunDaemon(t, fmt.Sprintf(`{
	admin unix/{dir}/admin.sock
	grace 30s delay 10m
}
http://:%d {
	log file {dir}/access.log
	monitor /lb-health
	proxy web
}
pool web {
	server one 127.0.0.1:%d
}
`, port, origin.Port), port)
	get := func(path string) (int, string) {
		t.Helper()
		c := e2e.Dial(t, port) // a new connection each time
		defer c.Close()
		c.Send("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		a := c.Answer("GET")
		return a.Status, a.Body
	}
	if status, body := get("/lb-health"); status != 200 || body != "ready\n" {
		t.Errorf("%d %q", status, body)
	}
	pid := d.PID()
	d.Signal(pid, syscall.SIGTERM)
	if !rig.Until(30*time.Second, func() bool { status, body := get("/lb-health"); return status == 503 && body == "stopping\n" }) {
		t.Fatalf("it does not say that it stops:\n%s", d.Output())
	}
	if status, _ := get("/page"); status != 200 {
		t.Errorf("while it is about to stop: %d", status)
	}
	d.Signal(pid, syscall.SIGTERM)
	if !d.Gone() {
		t.Error("a second signal does not end it")
	}
	b, err := os.ReadFile(filepath.Join(d.Dir, "access.log"))
	if err != nil || !strings.Contains(string(b), "/page") || strings.Contains(string(b), "/lb-health") {
		t.Errorf("%v, logged:\n%s", err, b)
	}
}

// With a limit, a tunnel does not keep a replaced configuration for ever; without
// traffic or with, on HTTP/1 or in a tcp site. What is on the new one stays.
func TestGraceRetired(t *testing.T) {
	t.Parallel()
	echo := echoServer(t)
	ports := e2e.Ports(t, 2)
	config := fmt.Sprintf(`http://:%d {
	log off
	proxy ws
}
tcp://:%d {
	log off
	proxy ws
}
pool ws {
	server one 127.0.0.1:%d
}
`, ports[0], ports[1], echo)
	options := "{\n\tadmin unix/{dir}/admin.sock\n\tgrace 30s%s\n}\n"
	d := e2e.RunDaemon(t, fmt.Sprintf(options, " retired 1s")+config, ports...)
	web, err := dialEcho(ports[0], true)
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	tcp, err := dialEcho(ports[1], false)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	d.Write(strings.ReplaceAll(fmt.Sprintf(options, "")+config, "{dir}", d.Dir))
	d.Signal(d.PID(), syscall.SIGHUP)
	for name, c := range map[string]net.Conn{"websocket": web, "tcp": tcp} {
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: the tunnel goes on:\n%s", name, d.Output())
		}
	}
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(d.Output(), "grace retired") }) {
		t.Errorf("nothing says why:\n%s", d.Output())
	}
}

// dialEcho opens a tunnel to an echo server through a site and says something in it.
func dialEcho(port int, websocket bool) (net.Conn, error) {
	c, err := net.Dial("tcp", rig.Addr(port))
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if websocket {
		_, _ = io.WriteString(c, upgrade)
		buf := make([]byte, 1)
		for head := ""; !strings.HasSuffix(head, "\r\n\r\n"); head += string(buf) {
			if _, err := io.ReadFull(c, buf); err != nil {
				return nil, fmt.Errorf("%q: %w", head, err)
			}
			if len(head) == 12 && !strings.HasSuffix(head, fmt.Sprint(http.StatusSwitchingProtocols)) {
				return nil, fmt.Errorf("no tunnel: %q", head)
			}
		}
	}
	_, _ = io.WriteString(c, "ping")
	buf := make([]byte, 4)
	if _, err := io.ReadFull(c, buf); err != nil {
		return nil, fmt.Errorf("no echo: %w", err)
	}
	return c, nil
}
