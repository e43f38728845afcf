package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// sickness is one server that is not well, and how both are told to probe it.
type sickness struct {
	name            string
	answer          string // "": the port is closed
	hang            bool
	haproxy, health string
	differs         string // why the lines may differ; "": they must not
}

var sicknesses = []sickness{
	{name: "refused", haproxy: "option httpchk", health: "http",
		differs: "Go begins the system's words with a small letter"},
	{name: "status", answer: "HTTP/1.1 500 Oh no\r\n\r\n", haproxy: "option httpchk", health: "http"},
	{name: "noreason", answer: "HTTP/1.0 404\r\n\r\n", haproxy: "option httpchk", health: "http"},
	{name: "hang", answer: "HTTP/1.1 2", hang: true, haproxy: "option httpchk", health: "http"},
	{name: "junk", answer: "SSH-2.0-OpenSSH\r\n", haproxy: "option httpchk", health: "http",
		differs: "we show what was said instead of HTTP"},
	{name: "redis", answer: "-NOAUTH no\r\n", haproxy: "option redis-check", health: "redis",
		differs: "an error of Redis has no code, and its text begins behind the sign"},
	{name: "smtp", answer: "421 too many\r\n", haproxy: "option smtpchk", health: "smtp"},
	{name: "script", answer: "hello\r\n", haproxy: "option tcp-check\n\ttcp-check expect string PONG", health: "tcp expect PONG",
		differs: "the word TCPCHK says nothing to a reader"},
}

// lines collects what a process says of servers that are down.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.String() }

var isDown = regexp.MustCompile(`Server (\w+)/s is DOWN, reason: (.*?), check duration: \d+ms\. (.*? in queue)\.`)

// downs gives reason and rest of the line by pool.
func downs(output string) map[string][2]string {
	out := map[string][2]string{}
	for _, m := range isDown.FindAllStringSubmatch(strings.ReplaceAll(output, `\"`, `"`), -1) {
		out[m[1]] = [2]string{m[2], m[3]}
	}
	return out
}

// HAProxy and Loadstar say the same, but for the named differences, of servers that are not well.
func TestHealthLinesAsHAProxy(t *testing.T) {
	t.Parallel()
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("SKIP: haproxy is not installed")
	}
	m := &moody{}
	port := e2e.Ports(t, 2)
	ha := fmt.Sprintf("global\n\tlog stderr daemon\ndefaults\n\tmode tcp\n\ttimeout connect 1s\n\ttimeout server 1s\n\ttimeout client 1s\n\ttimeout check 300ms\nfrontend f\n\tbind 127.0.0.1:%d\n", port[0])
	lb := fmt.Sprintf("tcp://:%d {\n", port[1])
	pools, backends := "", ""
	for _, s := range sicknesses {
		address := fmt.Sprintf("127.0.0.1:%d", e2e.Ports(t, 1)[0])
		if s.answer != "" {
			address = m.serve(t, func(c net.Conn) {
				_, _ = io.WriteString(c, s.answer)
				if !s.hang {
					_ = c.(*net.TCPConn).CloseWrite()
				}
				_, _ = io.Copy(io.Discard, c)
			})
		}
		ha += "\tuse_backend " + s.name + " if { src 192.0.2.1 }\n"
		lb += "\t@" + s.name + " client 192.0.2.1\n\tproxy @" + s.name + " " + s.name + "\n"
		pools += "pool " + s.name + " {\n\thealth " + s.health + " timeout 300ms\n\tserver s " + address + "\n}\n"
		backends += "backend " + s.name + "\n\t" + s.haproxy + "\n\tserver s " + address + " check inter 2s\n"
	}
	conf := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(conf, []byte(ha+backends), 0o600); err != nil {
		t.Fatal(err)
	}
	var theirs lines
	cmd := exec.Command(haproxy, "-db", "-f", conf)
	cmd.Stderr, cmd.Stdout = &theirs, &theirs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ours := e2e.Run(t, lb+"}\n"+pools, port[1])
	if !rig.Until(e2e.Patience, func() bool {
		return len(downs(theirs.String())) == len(sicknesses) && len(downs(ours.Output())) == len(sicknesses)
	}) {
		t.Fatalf("not all are down; HAProxy:\n%s\nLoadstar:\n%s", theirs.String(), ours.Output())
	}
	agreed := 0
	for _, s := range sicknesses {
		a, b := downs(theirs.String())[s.name], downs(ours.Output())[s.name]
		switch {
		case a == b && s.differs == "":
			agreed++
		case a != b && s.differs != "" && a[1] == b[1]:
			t.Logf("%s differs (%s): %q, HAProxy %q", s.name, s.differs, b[0], a[0])
		default:
			t.Errorf("%s: %q, HAProxy %q; to differ: %q", s.name, b, a, s.differs)
		}
	}
	t.Logf("%d lines compared, %d equal", len(sicknesses), agreed)
}
