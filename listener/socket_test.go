package listener

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// serve makes a ConnServer of a function.
type serve func(c *flow.Conn)

func (f serve) ServeConn(c *flow.Conn) { f(c) }

// echo answers each byte with itself, an exchange a byte, and closes after one
// when the binding drains: what a codec does.
func echo(c *flow.Conn) {
	var b [1]byte
	for {
		if _, err := c.Read(b[:]); err != nil || !c.Busy() {
			return
		}
		draining := c.Pin().Draining
		if _, err := c.Write(b[:]); err != nil || draining {
			return
		}
		c.Idle()
	}
}

func newHost(t testing.TB, s serve) *Host {
	h := NewHost(s, slog.New(slog.DiscardHandler))
	t.Cleanup(h.Close)
	return h
}

func binding(n uint64) *flow.Binding { return &flow.Binding{Generation: flow.NewGeneration(n)} }

func anyPort() Key { return Key{Network: "tcp", Address: "127.0.0.1:0"} }

// put commits wants to a set, failing the test if they are refused.
func put(t testing.TB, s *Set, wants ...Want) {
	t.Helper()
	c, errs := s.Prepare(wants)
	if errs != nil {
		t.Fatal(errs)
	}
	c.Commit()
}

func dial(t testing.TB, a net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ask(t testing.TB, c net.Conn, q string) {
	t.Helper()
	if err := tryAsk(c, q); err != nil {
		t.Fatal(err)
	}
}

func tryAsk(c net.Conn, q string) error {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, q); err != nil {
		return err
	}
	got := make([]byte, len(q))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != q {
		return errors.New("echo of " + q + " was " + string(got))
	}
	return nil
}

// eventually waits for a condition; it is for what has no event to wait for.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func shutdown(s *Set, d time.Duration) int {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return s.Shutdown(ctx)
}

func TestServesWhatIsBoundNow(t *testing.T) {
	h := newHost(t, echo)
	set := NewSet(h)
	one, two := binding(1), binding(2)
	put(t, set, Want{Key: anyPort(), Binding: one})
	sock := set.Sockets()[0]
	c := dial(t, sock.Addr())
	ask(t, c, "a")
	put(t, set, Want{Key: anyPort(), Binding: two})
	if set.Sockets()[0] != sock {
		t.Fatal("a reload opened the same socket anew")
	}
	one.Generation.Release()
	ask(t, c, "b") // the same connection, now of the second generation
	select {
	case <-one.Generation.Done():
	case <-time.After(10 * time.Second):
		t.Error("the first generation is still held")
	}
	if n := shutdown(set, 10*time.Second); n != 0 {
		t.Errorf("%d connections were cut, want none", n)
	}
	if h.Connections() != 0 || sock.Active() != 0 {
		t.Errorf("%d connections counted after the end", h.Connections())
	}
}

// TestReloadsLoseNothing connects and asks without pause during 200 reloads.
func TestReloadsLoseNothing(t *testing.T) {
	h := newHost(t, echo)
	set := NewSet(h)
	last := binding(1)
	put(t, set, Want{Key: anyPort(), Binding: last})
	addr := set.Sockets()[0].Addr()
	var stop atomic.Bool
	var asked atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for !stop.Load() {
				c, err := net.Dial("tcp", addr.String())
				if err != nil {
					t.Error(err)
					return
				}
				for range 5 {
					if err := tryAsk(c, "x"); err != nil {
						t.Error(err)
					}
					asked.Add(1)
				}
				c.Close()
			}
		})
	}
	var old []*flow.Generation
	for n := range uint64(200) {
		old = append(old, last.Generation)
		next := binding(n + 2)
		put(t, set, Want{Key: anyPort(), Binding: next})
		last.Generation.Release()
		last = next
		before := asked.Load()
		eventually(t, "traffic between two reloads", func() bool { return asked.Load() > before || t.Failed() })
	}
	stop.Store(true)
	wg.Wait()
	for _, g := range old {
		<-g.Done()
	}
	if n := shutdown(set, 10*time.Second); n != 0 {
		t.Errorf("%d connections were cut", n)
	}
}

// TestDroppedSocketServesItsQueue retires a socket whose kernel queue is full of
// connections nobody has accepted yet: each must be answered, then refused.
func TestDroppedSocketServesItsQueue(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			h := newHost(t, echo)
			set := NewSet(h)
			key := anyPort()
			if network == "unix" {
				key = Key{Network: "unix", Address: filepath.Join(t.TempDir(), "s")}
			}
			b := binding(1)
			put(t, set, Want{Key: key, Binding: b, Maxconn: 1})
			sock := set.Sockets()[0]
			first := dial(t, sock.Addr())
			ask(t, first, "a") // fills the socket: the others stay in the queue
			var queued []net.Conn
			for range 20 {
				queued = append(queued, dial(t, sock.Addr()))
			}
			put(t, set) // nothing is wanted any more
			b.Generation.Release()
			for _, c := range append(queued, first) {
				ask(t, c, "b")
				if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("after the exchange: %d bytes, %v; want the end", n, err)
				}
			}
			<-sock.Done()
			<-b.Generation.Done()
			if c, err := net.Dial(network, sock.Addr().String()); err == nil {
				c.Close()
				t.Error("the dropped socket still accepts")
			}
		})
	}
}

func TestAllOrNothing(t *testing.T) {
	h := newHost(t, echo)
	set := NewSet(h)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	freeKey := Key{Network: "tcp", Address: free.Addr().String()}
	free.Close()
	put(t, set, Want{Key: anyPort(), Binding: binding(1)})
	addr := set.Sockets()[0].Addr()
	_, errs := set.Prepare([]Want{
		{Key: freeKey, Binding: binding(2)},
		{Key: Key{Network: "tcp", Address: taken.Addr().String()}, Binding: binding(2)},
		{Key: Key{Network: "tcp", Address: "192.0.2.77:80"}, Binding: binding(2)},
	})
	if len(errs) != 2 || errs[0].Want != 1 || !strings.Contains(errs[0].Error(), taken.Addr().String()+": the address is in use") ||
		!strings.Contains(errs[1].Error(), "192.0.2.77:80: this machine has no such address") {
		t.Errorf("diagnostics: %v", errs)
	}
	ask(t, dial(t, addr), "x") // the old one goes on
	if l, err := net.Listen("tcp", freeKey.Address); err != nil {
		t.Errorf("a refused change left a socket behind: %v", err)
	} else {
		l.Close()
	}
	shutdown(set, 10*time.Second)
}

// TestPortIsHandedOver goes from all addresses to one, and back, while clients come all
// the time: none of them is refused, reset or left unanswered.
func TestPortIsHandedOver(t *testing.T) {
	h := newHost(t, echo)
	set := NewSet(h)
	probe, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(probe.Addr().String())
	probe.Close()
	wide, narrow := Key{Network: "tcp", Address: ":" + port}, Key{Network: "tcp", Address: "127.0.0.1:" + port}
	put(t, set, Want{Key: wide, Binding: binding(1)})

	var clients sync.WaitGroup
	var over atomic.Bool
	var asked atomic.Int64
	for range 4 {
		clients.Go(func() {
			for !over.Load() {
				c, err := net.Dial("tcp", narrow.Address)
				if err == nil {
					err = tryAsk(c, "x")
					c.Close()
				}
				if err != nil {
					t.Errorf("a client: %v", err)
					return
				}
				asked.Add(1)
			}
		})
	}
	for _, key := range []Key{narrow, wide, narrow, wide} {
		put(t, set, Want{Key: key, Binding: binding(1)})
		if l, err := net.Listen("tcp", narrow.Address); err == nil {
			l.Close()
			t.Error("somebody else could take the port")
		}
		eventually(t, "the sockets before are closed", func() bool {
			set.mu.Lock()
			defer set.mu.Unlock()
			return ended(set.retiring)
		})
		before := asked.Load()
		eventually(t, "clients are served", func() bool { return asked.Load() > before+20 || t.Failed() })
	}
	over.Store(true)
	clients.Wait()
	shutdown(set, 10*time.Second)
}

func TestUnixSocket(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, echo)
	path := filepath.Join(dir, "s")
	key := Key{Network: "unix", Address: path, Options: Options{Mode: 0o600}}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Bind(key); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("took a socket that somebody listens on: %v", err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	s, err := h.Bind(key)
	if err != nil {
		t.Fatalf("a stale socket was in the way: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	s.discard()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Bind(Key{Network: "unix", Address: file}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file in the way: %v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("the file was touched")
	}
}

func TestLimits(t *testing.T) {
	tests := map[string]func(h *Host, s *Set, max int){
		"of the process": func(h *Host, _ *Set, max int) { h.Limit.Set(max) },
		"of the socket":  func(_ *Host, s *Set, max int) { s.Sockets()[0].limit.Set(max) },
	}
	for name, set := range tests {
		t.Run(name, func(t *testing.T) {
			var inside, most atomic.Int64
			h := newHost(t, func(c *flow.Conn) {
				n := inside.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				echo(c)
				inside.Add(-1)
			})
			socks := NewSet(h)
			put(t, socks, Want{Key: anyPort(), Binding: binding(1)}, Want{Key: Key{Network: "tcp", Address: "127.0.0.2:0"}, Binding: binding(1)})
			for _, s := range socks.Sockets() {
				s.limit.Set(1)
			}
			set(h, socks, 2)
			addrs := socks.Sockets()
			var wg sync.WaitGroup
			for i := range 40 {
				wg.Go(func() {
					c, err := net.Dial("tcp", addrs[i%2].Addr().String())
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					if err := tryAsk(c, "ab"); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if m := most.Load(); m > 3 || m == 0 {
				t.Errorf("%d at a time", m)
			}
			for range 3 { // a higher limit lets in who waits
				c := dial(t, addrs[0].Addr())
				h.Limit.Set(10)
				addrs[0].limit.Set(10)
				ask(t, c, "x")
			}
			shutdown(socks, 10*time.Second)
		})
	}
}

// TestFullDoesNotSpin has the loop wait at its limit, and takes its CPU time.
func TestFullDoesNotSpin(t *testing.T) {
	h := newHost(t, echo)
	set := NewSet(h)
	put(t, set, Want{Key: anyPort(), Binding: binding(1), Maxconn: 1})
	addr := set.Sockets()[0].Addr()
	ask(t, dial(t, addr), "x")
	for range 10 {
		dial(t, addr)
	}
	before := cpuTime()
	time.Sleep(300 * time.Millisecond) // what must not happen has no event
	if used := cpuTime() - before; used > 150*time.Millisecond {
		t.Errorf("%v of CPU time while waiting", used)
	}
	shutdown(set, time.Millisecond)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestPanicEndsOneConnection(t *testing.T) {
	h := newHost(t, func(c *flow.Conn) {
		var b [1]byte
		c.Read(b[:])
		if b[0] == '!' {
			panic("boom")
		}
		c.Write(b[:])
	})
	set := NewSet(h)
	b := binding(1)
	put(t, set, Want{Key: anyPort(), Binding: b})
	addr := set.Sockets()[0].Addr()
	bad, good := dial(t, addr), dial(t, addr)
	io.WriteString(bad, "!")
	if _, err := bad.Read(make([]byte, 1)); err == nil {
		t.Error("an answer after a panic")
	}
	ask(t, good, "x")
	eventually(t, "both are gone", func() bool { return h.Connections() == 0 })
	if h.Panics.Load() != 1 || b.Generation.Holders() != 1 {
		t.Errorf("%d panics, %d holders; want 1, 1", h.Panics.Load(), b.Generation.Holders())
	}
	shutdown(set, 10*time.Second)
}

func TestShutdown(t *testing.T) {
	started := make(chan struct{}, 1)
	h := newHost(t, func(c *flow.Conn) {
		if c.Client.Port() == 0 {
			t.Error("no client address")
		}
		var b [1]byte
		c.Read(b[:])
		if b[0] == 's' { // a stream that never ends by itself
			c.Busy()
			started <- struct{}{}
			io.Copy(io.Discard, c)
			return
		}
		c.Busy()
		c.Write(b[:])
		c.Idle()
		echo(c)
	})
	set := NewSet(h)
	put(t, set, Want{Key: anyPort(), Binding: binding(1)})
	addr := set.Sockets()[0].Addr()
	idle, late, stream := dial(t, addr), dial(t, addr), dial(t, addr)
	ask(t, idle, "x")
	ask(t, late, "x")
	io.WriteString(stream, "s")
	<-started
	result := make(chan int)
	go func() { result <- shutdown(set, 2*time.Second) }()
	eventually(t, "draining", func() bool { _, err := net.Dial("tcp", addr.String()); return err != nil })
	ask(t, late, "y") // on its way when the drain began: answered
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("idle connection: %v, want its end", err)
	}
	if n := <-result; n != 1 {
		t.Errorf("%d connections were cut, want the stream alone", n)
	}
}

// TestNothingIsLeft counts goroutines and descriptors around a whole life.
func TestNothingIsLeft(t *testing.T) {
	fds := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc")
		}
		return len(d)
	}
	dial(t, func() net.Addr { // has the runtime open what it keeps
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l.Addr()
	}())
	f0, g0 := fds(), runtime.NumGoroutine()
	for range 20 {
		h := NewHost(serve(echo), slog.New(slog.DiscardHandler))
		set := NewSet(h)
		put(t, set, Want{Key: anyPort(), Binding: binding(1)})
		addr := set.Sockets()[0].Addr()
		var cs []net.Conn
		for range 10 {
			c, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			ask(t, c, "x")
			cs = append(cs, c)
		}
		shutdown(set, 10*time.Millisecond)
		for _, c := range cs {
			c.Close()
		}
		h.Close()
	}
	eventually(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= g0 })
	if f := fds(); f > f0 {
		t.Errorf("%d descriptors, began with %d", f, f0)
	}
}

// BenchmarkConnection accepts, serves one exchange and closes.
func BenchmarkConnection(b *testing.B) {
	h := newHost(b, echo)
	set := NewSet(h)
	put(b, set, Want{Key: anyPort(), Binding: binding(1)})
	addr := set.Sockets()[0].Addr().String()
	b.ReportAllocs()
	for b.Loop() {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		if err := tryAsk(c, "x"); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
	shutdown(set, time.Second)
}
