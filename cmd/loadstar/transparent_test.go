//go:build linux

package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// within runs f in a network namespace of `ip netns`. The thread that was moved
// there ends with its goroutine.
func within(t *testing.T, namespace string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		h, err := os.Open("/run/netns/" + namespace)
		if err != nil {
			done <- err
			return
		}
		defer func() { _ = h.Close() }()
		if err := unix.Setns(int(h.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// lab makes three networks: clients, a balancer between two networks, and servers,
// whose way back leads through the balancer. It skips without privileges.
func lab(t *testing.T) (client, balancer, server string) {
	t.Helper()
	bin, err := exec.LookPath("ip")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("SKIPPED: network namespaces need root and iproute2")
	}
	names := [3]string{}
	for i, role := range []string{"c", "b", "s"} {
		names[i] = fmt.Sprintf("lb%s%d", role, os.Getpid())
		if out, err := exec.Command(bin, "netns", "add", names[i]).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: this machine makes no network namespaces: %s", out)
		}
		t.Cleanup(func() { _ = exec.Command(bin, "netns", "del", names[i]).Run() })
	}
	c, b, s := names[0], names[1], names[2]
	for _, line := range strings.Split(strings.TrimSpace(`
link add cb netns C type veth peer name bc netns B
link add sb netns S type veth peer name bs netns B
-n C addr add 10.91.1.2/24 dev cb
-n C addr add 10.91.1.3/24 dev cb
-n B addr add 10.91.1.1/24 dev bc
-n B addr add 10.91.2.1/24 dev bs
-n S addr add 10.91.2.2/24 dev sb
-n C addr add fd91:1::2/64 dev cb nodad
-n B addr add fd91:1::1/64 dev bc nodad
-n B addr add fd91:2::1/64 dev bs nodad
-n S addr add fd91:2::2/64 dev sb nodad
-n C link set cb up
-n B link set bc up
-n B link set bs up
-n S link set sb up
-n B link set lo up
-n S route add default via 10.91.2.1
-n S -6 route add default via fd91:2::1
-n B rule add iif bs lookup 91
-n B -6 rule add iif bs lookup 91
-n B route add local default dev lo table 91
-n B -6 route add local default dev lo table 91`), "\n") {
		args := strings.Fields(line)
		for i, a := range args {
			if n := map[string]string{"C": c, "B": b, "S": s}[a]; n != "" {
				args[i] = n
			}
		}
		if out, err := exec.Command(bin, args...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: ip %s: %s", line, out)
		}
	}
	return c, b, s
}

// TestSourceClient: servers see the client's own address, over HTTP and over plain
// streams, of IPv4 and IPv6, and no client's connection is used for another.
func TestSourceClient(t *testing.T) {
	client, balancer, server := lab(t)
	// The server answers each request with the address that it comes from.
	for _, addr := range []string{"10.91.2.2:80", "[fd91:2::2]:80"} {
		var l net.Listener
		if err := within(t, server, func() (err error) { l, err = net.Listen("tcp", addr); return err }); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go answerWithPeer(l)
	}
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "Lbfile")
	config := e2e.Options(dir) + `http://:8080 {
	proxy four
}
http://:8081 {
	proxy six
}
tcp://:8082 {
	proxy four
}
http://:8083 {
	proxy six
}
pool four {
	health tcp interval 100ms
	source client
	server one 10.91.2.2:80
}
pool six {
	health http GET / interval 100ms
	server one [fd91:2::2]:80 source client
}
`
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := rig.Start(exec.Command("ip", "netns", "exec", balancer, e2e.Binary(t), "run", "--config", file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Stop(15 * time.Second); err != nil {
			t.Error(err)
		}
		if out := in.Output(); t.Failed() || strings.Contains(out, "DATA RACE") || strings.Contains(out, "panic:") || strings.Contains(out, "DOWN") {
			t.Errorf("it printed:\n%s", out)
		}
	})

	dial := func(from, to string) (nc net.Conn, err error) {
		err = within(t, client, func() error {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: e2e.Patience}
			nc, err = d.Dial("tcp", to)
			return err
		})
		return nc, err
	}
	ask := func(from, to string) (string, error) {
		nc, err := dial(from, to)
		if err != nil {
			return "", err
		}
		defer func() { _ = nc.Close() }()
		_ = nc.SetDeadline(time.Now().Add(e2e.Patience))
		_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		_, body := answerOn(nc)
		return body, nil
	}
	if !rig.Until(e2e.Patience, func() bool { got, err := ask("10.91.1.2", "10.91.1.1:8080"); return err == nil && got != "" }) {
		t.Fatalf("it does not serve:\n%s", in.Output())
	}
	for _, c := range []struct{ from, to, want string }{
		{"10.91.1.2", "10.91.1.1:8080", "10.91.1.2"},
		{"10.91.1.3", "10.91.1.1:8080", "10.91.1.3"},
		{"10.91.1.2", "10.91.1.1:8080", "10.91.1.2"}, // on the connection that is idle since
		{"10.91.1.2", "10.91.1.1:8082", "10.91.1.2"},
		{"fd91:1::2", "[fd91:1::1]:8081", "fd91:1::2"},
		{"10.91.1.2", "10.91.1.1:8083", ""}, // IPv4 to IPv6 cannot be: 503
	} {
		got, err := ask(c.from, c.to)
		if err != nil || c.want == "" && strings.Contains(got, "91") || c.want != "" && got != c.want {
			t.Errorf("%s at %s: the server sees %q (%v)", c.from, c.to, got, err)
		}
	}
}

// answerWithPeer answers each request of each connection with the peer's address.
func answerWithPeer(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			peer, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			br := bufio.NewReader(c)
			for last := false; ; {
				line, err := br.ReadString('\n')
				if err != nil {
					return
				}
				last = last || line == "Connection: close\r\n" // of a stream that is passed through
				if line == "\r\n" {
					_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(peer), peer)
					if last {
						return
					}
				}
			}
		}()
	}
}
