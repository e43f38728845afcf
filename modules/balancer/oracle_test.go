package balancer

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The oracle: HAProxy itself is asked which server it chooses, and the answer is
// compared with ours, request by request.

var oracleWeights = [][]int{
	{1, 1, 1}, {1, 2, 3}, {3, 2, 1}, {5, 1, 1}, {3, 1}, {100, 50, 25},
	{7, 3, 2, 2}, {9, 7, 5}, {11, 10, 7, 3, 3, 1}, {2, 2, 3}, {1, 1, 1, 1, 1, 6}, {99, 98, 97}, {2, 4, 6, 8, 10}, {13, 1, 4, 9}, {256, 1}, {1, 1, 2, 3, 5, 8},
}

func TestOracleRoundRobin(t *testing.T) {
	o := startOracle(t, "roundrobin")
	same, all := 0, 0
	for i, weights := range oracleWeights {
		p := policy(t, "roundrobin").Picker(servers(weights...))
		var want, got strings.Builder
		// Sixteen rounds, and into the next one where no weights are equal:
		// there HAProxy may have servers of equal weight change places.
		n := min(sum(weights)*16, 300)
		if n < 300 && distinct(weights) {
			n += sum(weights)
		}
		for range n {
			want.WriteString(o.ask(t, i, netip.Addr{}))
			got.WriteString(names(p, 1))
		}
		all += n
		if got.String() != want.String() {
			t.Errorf("weights %v:\n   ours %s\nHAProxy %s", weights, &got, &want)
			continue
		}
		same += n
	}
	t.Logf("%d of %d decisions agree", same, all)
}

func sum(weights []int) (n int) {
	for _, w := range weights {
		n += w
	}
	return n
}

func distinct(weights []int) bool {
	seen := map[int]bool{}
	for _, w := range weights {
		if seen[w] {
			return false
		}
		seen[w] = true
	}
	return true
}

func TestOracleSource(t *testing.T) {
	o := startOracle(t, "source")
	same, all := 0, 0
	for i, weights := range oracleWeights {
		p := policy(t, "source").Picker(servers(weights...))
		for n := range 40 {
			from := netip.AddrFrom4([4]byte{127, byte(1 + i), byte(n * 37), byte(1 + n*11)})
			got := p.Pick(&Ask{Client: from}).Name
			want := o.ask(t, i, from)
			all++
			if got != want {
				t.Errorf("weights %v, %v: %s, HAProxy %s", weights, from, got, want)
				continue
			}
			same++
		}
	}
	t.Logf("%d of %d decisions agree", same, all)
}

type oracle struct{ listen []net.Addr }

// startOracle runs HAProxy with one proxy for each set of weights. It listens on
// sockets that are opened here, so that no port needs guessing.
func startOracle(t *testing.T, algorithm string) *oracle {
	t.Helper()
	bin, err := exec.LookPath("haproxy")
	if err != nil {
		bin = "/usr/sbin/haproxy"
		if _, err := os.Stat(bin); err != nil {
			t.Skip("SKIPPED: no haproxy to compare with; apt-get install haproxy")
		}
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go answer(server)

	o := &oracle{}
	cmd := exec.Command(bin, "-db", "-q", "-f", filepath.Join(t.TempDir(), "haproxy.cfg"))
	var cfg strings.Builder
	cfg.WriteString("global\n nbthread 1\ndefaults\n mode http\n timeout client 10s\n timeout server 10s\n timeout connect 10s\n")
	for i, weights := range oracleWeights {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		o.listen = append(o.listen, l.Addr())
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		t.Cleanup(func() { _ = l.Close(); _ = f.Close() })
		fmt.Fprintf(&cfg, "listen p%d\n bind fd@%d\n balance %s\n http-response set-header x-server %%s\n", i, 3+i, algorithm)
		for j, w := range weights {
			fmt.Fprintf(&cfg, " server %d %s weight %d\n", j+1, server.Addr(), w)
		}
	}
	if err := os.WriteFile(cmd.Args[len(cmd.Args)-1], []byte(cfg.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return o
}

// answer gives every request the same answer.
func answer(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 4096)
			for n := 0; !strings.Contains(string(buf[:n]), "\r\n\r\n"); {
				k, err := c.Read(buf[n:])
				if err != nil {
					return
				}
				n += k
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}()
	}
}

var xServer = regexp.MustCompile(`x-server: (\S+)`)

// ask sends one request to proxy i and gives the name of the server that got it.
func (o *oracle) ask(t *testing.T, i int, from netip.Addr) string {
	t.Helper()
	d := net.Dialer{Timeout: 10 * time.Second}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	c, err := d.Dial("tcp", o.listen[i].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	head, err := io.ReadAll(c)
	m := xServer.FindSubmatch(head)
	if m == nil {
		t.Fatalf("no server in %q (%v)", head, err)
	}
	return string(m[1])
}
