package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

func TestExampleHealthChecks(t *testing.T) {
	t.Parallel()
	x := boot(t, "health-checks.lb")
	// Servers that are none of what their pools hold are found out, once each.
	for _, want := range []string{
		"Server cache/cache1 is DOWN, reason: Layer7 ", "Server databases/pg is DOWN, reason: Layer7 ",
		"Server mail/mx2 is DOWN, reason: Layer7 ", "Server directory/ldap1 is DOWN, reason: Layer7 ",
		"Server directory/ldap2 is DOWN, reason: External check error, code: 1", "Server secure/tls1 is DOWN, reason: Layer6 ",
		"Server secure/tls2 is DOWN, reason: Layer6 ", "Server api/api1 is DOWN, reason: Layer7 ",
		`Server web/web1 is DOWN, reason: Layer7 invalid response, code: 200, info: \"expected header Content-Type ~^text/\"`,
		"Server batch/batch1 is DOWN via web/web1",
	} {
		if !rig.Until(e2e.Patience, func() bool { return strings.Contains(x.Output(), want) }) {
			t.Fatalf("no line %q in\n%s", want, x.Output())
		}
	}
	if n := strings.Count(x.Output(), "Server secure/tls1 is DOWN"); n != 1 {
		t.Errorf("%d lines of one change:\n%s", n, x.Output())
	}
	if a := x.get("8080", "www.example.com", "/api/x"); a.Status != 503 {
		t.Errorf("a pool without a server answered %d", a.Status)
	}
}

// moody answers probes and requests with the status that it is in the mood for,
// and agents with the word.
type moody struct {
	status atomic.Int32
	word   atomic.Value
}

func (m *moody) serve(t *testing.T, answer func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { answer(c); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

func (m *moody) http(name string) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 %d Mood\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", m.status.Load(), len(name), name)
		_, _ = io.Copy(io.Discard, c)
	}
}

// One configuration through its life: a probe, an agent, a server that follows,
// and live traffic, each seen in who answers and in the log.
func TestHealthMovesTraffic(t *testing.T) {
	sick, well := &moody{}, &moody{}
	sick.status.Store(200)
	well.status.Store(200)
	sick.word.Store("up ready 100%\n")
	a, b := sick.serve(t, sick.http("a")), well.serve(t, well.http("b"))
	agent := sick.serve(t, func(c net.Conn) { _, _ = io.WriteString(c, sick.word.Load().(string)) })
	_, agentPort, _ := net.SplitHostPort(agent)
	ports := e2e.Ports(t, 1)
	in := e2e.Run(t, fmt.Sprintf(`
http://:%d {
	proxy /probed/* probed
	proxy /follows/* follows
	proxy /seen/* seen
	proxy /advised/* advised
}
pool probed {
	health http GET / interval 20ms timeout 30s rise 2 fall 2
	server a %[2]s
	server b %[3]s health off
}
pool follows {
	server a %[2]s health track probed/a
	server b %[3]s
}
pool seen {
	passive layer7 errors 3 time 10m
	retry 0
	server a %[2]s
	server b %[3]s
}
pool advised {
	health agent port %[4]s interval 20ms timeout 30s
	server a %[2]s
	server b %[3]s health off
}
`, ports[0], a, b, agentPort), ports...)
	client := func(path string) string {
		c := e2e.Dial(t, ports[0])
		c.Send("GET /" + path + "/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		return c.Answer("GET").Body
	}
	both := func(path string, want bool) {
		t.Helper()
		if !rig.Until(e2e.Patience, func() bool {
			first, second := client(path), client(path)
			return (first != second) == want
		}) {
			t.Fatalf("%s: two servers answer: %v is wanted; logged:\n%s", path, want, in.Output())
		}
	}
	for _, p := range []string{"probed", "follows", "seen", "advised"} {
		both(p, true)
	}
	sick.status.Store(500)
	sick.word.Store("drain # lunch\n")
	for _, p := range []string{"probed", "follows", "seen", "advised"} {
		both(p, false)
	}
	sick.status.Store(200)
	sick.word.Store("ready\n")
	for _, p := range []string{"probed", "follows", "advised"} {
		both(p, true)
	}
	both("seen", false) // it is left out for ten minutes
	for text, times := range map[string]int{
		"Server probed/a is DOWN, reason: Layer7 wrong status, code: 500, info: ": 1,
		"Server probed/a is UP, reason: Layer7 check passed, code: 200, info: ":   1,
		"Server follows/a is DOWN via probed/a. 1 active":                         1,
		"Server follows/a is UP via probed/a. 2 active":                           1,
		"Server seen/a is out of rotation for 10m0s: 3 errors in a row":           1,
		"Server advised/a: its agent says drain (lunch). 1 active":                1,
		"Server advised/a: its agent says ready. 2 active":                        1,
	} {
		if !rig.Until(e2e.Patience, func() bool { return strings.Contains(in.Output(), text) }) || strings.Count(in.Output(), text) != times {
			t.Errorf("%d times %q, want %d", strings.Count(in.Output(), text), text, times)
		}
	}
	if t.Failed() {
		t.Log(in.Output())
	}
}

// What is wrong with a `health` or a `passive` is said with its place.
func TestHealthDiagnostics(t *testing.T) {
	for _, c := range []struct{ line, at, want string }{
		{"health htpt", "5:9", "unknown kind"},
		{"health http expect 20", "5:21", "no set of statuses"},
		{"health http expect body ~(", "5:26", "no regular expression"},
		{"health http expect header X ~[", "5:30", "no regular expression"},
		{"health http expect headr X y", "5:14", "needs STATUS"},
		{"health tcp send A expect ~a(", "5:27", "no regular expression"},
		{"health tcp send A\\q", "5:18", "unknown escape"},
		{"health redis user me", "5:15", "needs a password"},
		{"health track p/a", "5:15", "tracks itself"},
		{"health track q/a", "5:15", "no server \"q/a\""},
		{"health track p/z", "5:15", "no server \"p/z\""},
		{"health exec /nonexistent", "5:14", "cannot be run"},
		{"health smtp EHLO \"a b\"", "5:2", "no name of a host"},
		{"health http initial sideways", "5:22", "sideways"},
		{"health http interval 0s", "5:23", "interval must be"},
		{"health tcp\n\thealth http", "6:2", "given twice"},
		{"passive layer3", "5:10", "unknown kind"},
		{"passive keep 200%", "5:15", "keep must be"},
		{"passive errors 0", "5:17", "errors must be"},
	} {
		file := filepath.Join(t.TempDir(), "Lbfile")
		text := "http://:8080 {\n\tproxy p\n}\npool p {\n\t" + c.line + "\n\tserver a 127.0.0.1:1\n}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(e2e.Binary(t), "check", "--config", file).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "Lbfile:"+c.at+": error: ") || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, want %q at %s\n%s", c.line, err, c.want, c.at, out)
		}
	}
}
