package listener

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// give adds a copy of a socket's descriptor.
func give(t *testing.T, h *Inherited, l any, keep bool) {
	t.Helper()
	f, err := Duplicate(l)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd())) // Add takes over what it is given
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Add(fd, keep); err != nil {
		t.Fatal(err)
	}
}

func TestInheritedFits(t *testing.T) {
	open := func(network, addr string) net.Listener {
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	port := func(l net.Listener) string {
		_, p, _ := net.SplitHostPort(l.Addr().String())
		return p
	}
	dual, four, six, loop := open("tcp", ":0"), open("tcp4", "0.0.0.0:0"), open("tcp6", "[::]:0"), open("tcp", "127.0.0.1:0")
	path := filepath.Join(t.TempDir(), "s")
	unix := open("unix", path)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_, udpPort, _ := net.SplitHostPort(udp.LocalAddr().String())
	for _, tt := range []struct {
		name          string
		socket        any
		network, addr string
		want          bool
	}{
		{"all of both", dual, "tcp", ":" + port(dual), true},
		{"all of both is not one", dual, "tcp", "127.0.0.1:" + port(dual), false},
		{"another port", dual, "tcp", ":" + port(loop), false},
		{"all of IPv4", four, "tcp", ":" + port(four), true},
		{"all of IPv4, said so", four, "tcp", "0.0.0.0:" + port(four), true},
		{"all of IPv4 is not IPv6", four, "tcp", "[::]:" + port(four), false},
		{"all of IPv6", six, "tcp", "[::]:" + port(six), true},
		{"one", loop, "tcp", "127.0.0.1:" + port(loop), true},
		{"one is not all", loop, "tcp", ":" + port(loop), false},
		{"not that network", loop, "udp", "127.0.0.1:" + port(loop), false},
		{"unix", unix, "unix", path, true},
		{"another path", unix, "unix", path + "x", false},
		{"udp", udp, "udp", "127.0.0.1:" + udpPort, true},
	} {
		h := &Inherited{}
		give(t, h, tt.socket, true)
		got := h.take(Key{Network: tt.network, Address: tt.addr}) != nil
		if got != tt.want || got != (len(h.Taken()) == 1) {
			t.Errorf("%s: %s %s: %v, want %v", tt.name, tt.network, tt.addr, got, tt.want)
		}
		if got && h.take(Key{Network: tt.network, Address: tt.addr}) != nil {
			t.Errorf("%s: taken twice", tt.name)
		}
	}
	h := &Inherited{}
	give(t, h, four, true)
	give(t, h, dual, true)
	if got := h.Close(); len(got) != 2 || !slices.Contains(got, four.Addr().String()) {
		t.Errorf("unwanted: %q", got)
	}
	if (*Inherited)(nil).take(Key{}) != nil {
		t.Error("nothing inherited, and yet something taken")
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := h.Add(int(f.Fd()), true); err == nil {
		t.Error("a file is taken for a socket")
	}
}

// What is queued on a socket that was handed over is left to who has it now; on
// one that was not, it is served.
func TestLeaveLeavesTheQueue(t *testing.T) {
	for _, handed := range []bool{true, false} {
		served := make(chan string, 10)
		host := NewHost(connFunc(func(c *flow.Conn) { served <- c.Peer.String() }), slog.New(slog.DiscardHandler))
		set := NewSet(host)
		change, errs := set.Prepare([]Want{{Key: Key{Network: "tcp", Address: "127.0.0.1:0"}, Binding: &flow.Binding{Generation: flow.NewGeneration(1)}}})
		if errs != nil {
			t.Fatal(errs)
		}
		host.Limit.Set(1)
		host.Limit.active.Add(1) // so that nothing is accepted
		change.Commit()
		sock := set.Sockets()[0]
		hand, err := set.Hand()
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", sock.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if sock.backlog() == 0 {
			t.Log("the kernel does not tell of the queue")
		}
		left := hand
		if !handed {
			left = nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		set.Leave(ctx, left)
		cancel()
		if !sock.ended.Load() {
			t.Fatal("it did not end")
		}
		if handed {
			l, err := net.FileListener(hand[0].File)
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.Accept()
			if err != nil || got.RemoteAddr().String() != c.LocalAddr().String() {
				t.Errorf("the other process gets %v, %v", got, err)
			}
			_ = l.Close()
		}
		if n := len(served); (n == 0) != handed {
			t.Errorf("handed %v: %d connections were served here", handed, n)
		}
		_ = hand[0].File.Close()
		_ = c.Close()
		host.Close()
	}
}

type connFunc func(*flow.Conn)

func (f connFunc) ServeConn(c *flow.Conn) { f(c) }

// A watchdog learns of a queue that nobody takes, at the second look, and not of
// one that waits for room.
func TestStuck(t *testing.T) {
	host := NewHost(connFunc(func(*flow.Conn) {}), slog.New(slog.DiscardHandler))
	defer host.Close()
	set := NewSet(host)
	sock, err := host.Bind(Key{Network: "tcp", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer sock.discard()
	set.current[sock.Key] = sock // bound, and nobody accepts
	if got := append(set.Stuck(), set.Stuck()...); len(got) > 0 {
		t.Errorf("an empty queue is stuck: %q", got)
	}
	c, err := net.Dial("tcp", sock.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for end := time.Now().Add(20 * time.Second); sock.backlog() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Skip("the kernel does not tell of the queue")
		}
	}
	if got := set.Stuck(); len(got) > 0 {
		t.Errorf("at the first look: %q", got)
	}
	if got := set.Stuck(); !slices.Equal(got, []string{"127.0.0.1:0"}) {
		t.Errorf("at the second look: %q", got)
	}
	sock.taken.Add(1)
	if got := set.Stuck(); len(got) > 0 {
		t.Errorf("one was taken: %q", got)
	}
	host.Limit.Set(1)
	host.Limit.active.Add(1)
	if got := append(set.Stuck(), set.Stuck()...); len(got) > 0 {
		t.Errorf("there is no room: %q", got)
	}
}
