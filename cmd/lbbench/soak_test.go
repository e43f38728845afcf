//go:build linux

package main

import (
	"bufio"
	"bytes"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

func TestFramesComeBackAsTheyWere(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 4000} {
		for _, mask := range []bool{false, true} {
			message := bytes.Repeat([]byte("ab?"), n)[:n]
			got, err := readFrame(bufio.NewReader(bytes.NewReader(appendFrame(nil, message, mask))))
			if err != nil || !bytes.Equal(got, message) {
				t.Errorf("%d bytes, mask %v: %q (%v)", n, mask, got, err)
			}
		}
	}
	if _, err := readFrame(bufio.NewReader(strings.NewReader("HTTP/1.1 400"))); err == nil {
		t.Error("an HTTP answer was read as a frame")
	}
	// The example of RFC 6455 §1.3.
	if got := websocketAccept("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

// TestSoakWithoutProxy runs the soak's clients straight against its servers:
// nothing is lost, and everything is counted.
func TestSoakWithoutProxy(t *testing.T) {
	servers, err := startSoakServers(true)
	if err != nil {
		t.Fatal(err)
	}
	defer servers.close()
	s := &soak{soakOptions: soakOptions{Workers: 2, Tunnels: 2}, servers: servers, setup: soakSetup{Web: servers.one, TCP: servers.echo}}
	l := s.startLoad()
	y := &s.tally
	busy := rig.Until(10*time.Second, func() bool {
		return y.kept.Load() > 20 && y.done.Load()-y.kept.Load() > 20 && y.echoed.Load() > 20
	})
	l.stop()
	if !busy || y.lost.Load() > 0 || y.cut.Load() > 0 || y.tunnels.Load() != 4 {
		t.Errorf("done %d, lost %d, tunnels %d, cut %d, echoed %d: %v",
			y.done.Load(), y.lost.Load(), y.tunnels.Load(), y.cut.Load(), y.echoed.Load(), y.examples())
	}
}

// TestSoakNoticesLosses: a proxy that closes, refuses or mixes up must not pass.
func TestSoakNoticesLosses(t *testing.T) {
	for name, answer := range map[string]string{
		"closes":        "",
		"refuses":       "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		"another body":  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"cuts the body": "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			go acceptLoop(l, func(c net.Conn) {
				buf := make([]byte, 4096)
				_, _ = c.Read(buf)
				_, _ = c.Write([]byte(answer))
			})
			addr, ok := l.Addr().(*net.TCPAddr)
			if !ok {
				t.Fatal("no TCP address")
			}
			if err := onePost(addr.Port, nil); err == nil {
				t.Error("nothing was noticed")
			}
			s := &soak{setup: soakSetup{Web: addr.Port, TCP: addr.Port}}
			if _, err := s.openWebSocket(); err == nil {
				t.Error("the tunnel stands")
			}
		})
	}
}

func TestDeadServerCountsWhoAsks(t *testing.T) {
	servers, err := startSoakServers(true)
	if err != nil {
		t.Fatal(err)
	}
	defer servers.close()
	if err := onePost(servers.dead, nil); err == nil {
		t.Error("the dead server answered well")
	}
	c, err := net.Dial("tcp", rig.Addr(servers.dead))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte("GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
	b, _ := bufio.NewReader(c).ReadString('\n')
	_ = c.Close()
	if n := servers.sentToDead.Load(); n != 1 || !strings.Contains(b, "503") {
		t.Errorf("counted %d, its check was answered %q", n, b)
	}
}

func TestVerdictFailsForEachFault(t *testing.T) {
	good := func() *soak {
		proc, err := rig.Start(sleeper())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = proc.Stop(time.Second) })
		s := &soak{out: &bytes.Buffer{}, product: soakProductNamed("loadstar"), servers: &soakServers{}, proc: proc}
		s.tally.done.Store(5)
		s.tally.echoed.Store(5)
		return s
	}
	if err := good().verdict(); err != nil {
		t.Errorf("without a fault: %v", err)
	}
	for name, spoil := range map[string]func(*soak){
		"no request":   func(s *soak) { s.tally.done.Store(0) },
		"no message":   func(s *soak) { s.tally.echoed.Store(0) },
		"lost":         func(s *soak) { s.tally.fault(&s.tally.lost, "x") },
		"to the dead":  func(s *soak) { s.servers.sentToDead.Add(1) },
		"cut":          func(s *soak) { s.tally.fault(&s.tally.cut, "x") },
		"descriptors":  func(s *soak) { s.last.Descriptors = 100 },
		"goroutines":   func(s *soak) { s.last.Goroutines = 100 },
		"memory":       func(s *soak) { s.last.Memory = 1 << 30 },
		"process gone": func(s *soak) { _ = s.proc.Stop(time.Second) },
	} {
		s := good()
		spoil(s)
		if err := s.verdict(); err == nil {
			t.Errorf("%s: passed", name)
		}
	}
}

// TestConfigurations: each names all ports, and generations differ.
func TestConfigurations(t *testing.T) {
	s := setup{Dir: "/tmp/x", HTTP: 11111, TCP: 22222, OriginH: 33333, OriginT: 44444}
	for _, p := range products("bin/loadstar", "caddy") {
		text := p.config(s)
		want := []string{"11111", "33333"}
		if p.TCP {
			want = append(want, "22222", "44444")
		}
		for _, port := range want {
			if !strings.Contains(text, port) {
				t.Errorf("%s: no %s in\n%s", p.Name, port, text)
			}
		}
		if strings.Contains(text, "%!") {
			t.Errorf("%s: %s", p.Name, text)
		}
		s.Log = 5555
		if !strings.Contains(p.config(s), "5555") {
			t.Errorf("%s does not log", p.Name)
		}
		s.Log = 0
	}
	for _, name := range []string{"loadstar", "haproxy", "nginx"} {
		p := soakProductNamed(name)
		x := soakSetup{Dir: "/tmp/x", Generation: 7, servers: &soakServers{}}
		a := p.config(x)
		x.Generation = 8
		if b := p.config(x); a == b || strings.Contains(a+b, "%!") {
			t.Errorf("%s:\n%s\n%s", name, a, b)
		}
	}
	if soakProductNamed("apache") != nil {
		t.Error("an unknown product was found")
	}
}

func TestWorks(t *testing.T) {
	var names []string
	for _, w := range works(false) {
		if slices.Contains(names, w.Name) || w.Doc == "" || w.Unit == "" || w.Plan.Size == 0 {
			t.Errorf("%+v", w)
		}
		names = append(names, w.Name)
	}
	if short := works(true); len(short) == 0 || len(short) > len(names) {
		t.Errorf("%d of %d in the short run", len(short), len(names))
	}
}

// sleeper is a process that does nothing until it is stopped.
func sleeper() *exec.Cmd { return exec.Command("sleep", "60") }
