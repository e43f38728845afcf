package syslog

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/logging"
)

func sink(t *testing.T, address string) logging.Sink {
	t.Helper()
	s, err := Open(logging.Key{Kind: "syslog", Target: address, Facility: "local0", Tag: "loadstar"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// offer writes the lines from-to.
func offer(s logging.Sink, from, to int) {
	for i := from; i < to; i++ {
		s.Write(logging.Info, fmt.Appendf(nil, "line %d", i))
	}
}

// until waits for a condition, failing after ten seconds.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for ", what)
		}
	}
}

// daemon receives messages and keeps the text behind the header.
type daemon struct {
	mu       sync.Mutex
	messages []string
}

func (d *daemon) take(message string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.messages = append(d.messages, message)
}

func (d *daemon) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.messages)
}

// message gives one message, counted from 0.
func (d *daemon) message(i int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.messages[i]
}

func (d *daemon) datagrams(c net.PacketConn) {
	buf := make([]byte, 64<<10)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		d.take(string(buf[:n]))
	}
}

// streams takes messages, one a line, from connections until the listener is closed.
func (d *daemon) streams(l net.Listener, opened func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		opened(c)
		go func() {
			for r := bufio.NewReader(c); ; {
				m, err := r.ReadString('\n')
				if err != nil {
					_ = c.Close()
					return
				}
				d.take(m)
			}
		}()
	}
}

func packets(t *testing.T, network, address string) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// socketPath gives a path short enough for a unix socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func mustDeliverAll(t *testing.T, s logging.Sink, n int) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := s.Stats(); got != (logging.Stats{Delivered: uint64(n)}) {
		t.Errorf("%+v of %d", got, n)
	}
}

// TestMessage: priority (facility and each line's own severity), tag and text, over each
// kind of socket.
func TestMessage(t *testing.T) {
	dgram, stream := socketPath(t), socketPath(t)
	udp, unixgram := packets(t, "udp", "127.0.0.1:0"), packets(t, "unixgram", dgram)
	tcp, unix := listen(t, "tcp", "127.0.0.1:0"), listen(t, "unix", stream)
	for _, c := range []struct {
		address string
		serve   func(d *daemon)
	}{
		{"udp://" + udp.LocalAddr().String(), func(d *daemon) { d.datagrams(udp) }},
		{"tcp://" + tcp.Addr().String(), func(d *daemon) { d.streams(tcp, func(net.Conn) {}) }},
		{"unix/" + dgram, func(d *daemon) { d.datagrams(unixgram) }},
		{"unix/" + stream, func(d *daemon) { d.streams(unix, func(net.Conn) {}) }},
	} {
		t.Run(c.address[:4], func(t *testing.T) {
			d := &daemon{}
			go c.serve(d)
			s := sink(t, c.address)
			s.Write(logging.Info, []byte("an info"))
			s.Write(logging.Alert, []byte("an alert"))
			until(t, "two messages", func() bool { return d.count() == 2 })
			for i, want := range []string{
				`^<134>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S+ \S+ loadstar\[\d+\]: an info\n$`,
				`^<129>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S+ \S+ loadstar\[\d+\]: an alert\n$`,
			} {
				if !regexp.MustCompile(want).MatchString(d.message(i)) {
					t.Errorf("message %q", d.message(i))
				}
			}
			mustDeliverAll(t, s, 2)
		})
	}
}

// TestDaemonComesLate: no daemon is no error; what was offered meanwhile arrives within
// a second of its start.
func TestDaemonComesLate(t *testing.T) {
	path := socketPath(t)
	s := sink(t, "unix/"+path)
	offer(s, 0, 1000)
	if got := s.Stats(); got.Held != 1000 {
		t.Errorf("%+v", got)
	}
	d := &daemon{}
	go d.datagrams(packets(t, "unixgram", path))
	until(t, "the lines", func() bool { return d.count() == 1000 })
	mustDeliverAll(t, s, 1000)
	for i := range 1000 {
		if got, want := d.message(i), fmt.Sprintf("]: line %d\n", i); !strings.HasSuffix(got, want) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
}

// TestSocketReplaced: a daemon that restarts on the same path gets every line, whether the
// old socket was closed or, as a descriptor that was leaked does, lives on unseen.
func TestSocketReplaced(t *testing.T) {
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprintf("closed=%v", closed), func(t *testing.T) {
			path := socketPath(t)
			old := packets(t, "unixgram", path)
			before, after := &daemon{}, &daemon{}
			go before.datagrams(old)
			s := sink(t, "unix/"+path)
			offer(s, 0, 100)
			until(t, "the first lines", func() bool { return before.count() == 100 })
			if closed {
				_ = old.Close()
			}
			_ = os.Remove(path)
			go after.datagrams(packets(t, "unixgram", path))
			n := 100
			until(t, "a line at the new socket", func() bool { offer(s, n, n+1); n++; return after.count() > 0 })
			if closed {
				mustDeliverAll(t, s, n)
			} else {
				_ = s.Close()
			}
			until(t, "all lines", func() bool { return before.count()+after.count() == n })
			if got := s.Stats(); got != (logging.Stats{Delivered: uint64(n)}) {
				t.Errorf("%+v of %d", got, n)
			}
		})
	}
}

// TestSocketChangesType: from datagrams to a stream, as a change of daemon may do.
func TestSocketChangesType(t *testing.T) {
	path := socketPath(t)
	old := packets(t, "unixgram", path)
	d := &daemon{}
	go d.datagrams(old)
	s := sink(t, "unix/"+path)
	offer(s, 0, 10)
	until(t, "the first lines", func() bool { return d.count() == 10 })
	_ = old.Close()
	_ = os.Remove(path)
	go d.streams(listen(t, "unix", path), func(net.Conn) {})
	offer(s, 10, 20)
	until(t, "the other lines", func() bool { return d.count() == 20 })
	mustDeliverAll(t, s, 20)
}

// TestSocketBlocked: a daemon that hangs costs lines, not time; what it takes when it
// goes on and what was dropped are all that was offered.
func TestSocketBlocked(t *testing.T) {
	path := socketPath(t)
	c := packets(t, "unixgram", path)
	s := sink(t, "unix/"+path)
	n := 0
	until(t, "the ring to be full", func() bool { offer(s, n, n+1000); n += 1000; return s.Stats().Dropped > 500 })
	d := &daemon{}
	go d.datagrams(c)
	until(t, "the lines held", func() bool { return s.Stats().Held == 0 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	stats := s.Stats()
	if stats.Delivered+stats.Dropped != uint64(n) {
		t.Errorf("%+v of %d", stats, n)
	}
	until(t, "what was delivered", func() bool { return d.count() == int(stats.Delivered) })
}

// TestTCPPeerCloses: a daemon that closes the connection between lines, or goes away for a
// while, loses none. The target is driven without its queue, so that time can be told
// to it.
func TestTCPPeerCloses(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	d := &daemon{}
	conns := make(chan net.Conn, 100)
	go d.streams(l, func(c net.Conn) { conns <- c })
	tg := &target{network: "tcp", address: l.Addr().String(), facility: "local0", tag: "loadstar"}
	defer tg.hangUp()
	deliver := func() (int, error) {
		return tg.Deliver([]logging.Line{{Level: logging.Info, Text: []byte("a")}, {Level: logging.Info, Text: []byte("b")}})
	}
	expect := func(total int) {
		t.Helper()
		if n, err := deliver(); n != 2 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		until(t, "the lines", func() bool { return d.count() == total })
	}
	expect(2)
	expect(4)
	first := <-conns
	if len(conns) != 0 {
		t.Fatal("a second connection within a second")
	}
	_ = first.Close()
	// Without distrust of the idle connection the next line would vanish in it.
	tg.sent = tg.sent.Add(-idleTrust)
	expect(6)

	_ = l.Close()
	_ = (<-conns).Close()
	tg.sent = tg.sent.Add(-idleTrust)
	if n, err := deliver(); n != 0 || err == nil {
		t.Fatalf("delivered %d to nobody, %v", n, err)
	}
	go d.streams(listen(t, "tcp", l.Addr().String()), func(c net.Conn) { conns <- c })
	expect(8)
}

// TestTCPPeerHangs: a peer that accepts and never reads delays nobody, and every line is
// accounted for.
func TestTCPPeerHangs(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	s := sink(t, "tcp://"+l.Addr().String())
	line := []byte(strings.Repeat("x", 1000))
	n := uint64(0)
	until(t, "drops", func() bool {
		for range 1000 {
			s.Write(logging.Info, line)
			n++
		}
		return s.Stats().Dropped > 0
	})
	_ = s.Close()
	if got := s.Stats(); got.Delivered+got.Dropped != n {
		t.Errorf("%+v of %d", got, n)
	}
}

// TestTooLong: a line that fits no datagram is dropped alone.
func TestTooLong(t *testing.T) {
	c := packets(t, "udp", "127.0.0.1:0")
	d := &daemon{}
	go d.datagrams(c)
	s := sink(t, "udp://"+c.LocalAddr().String())
	s.Write(logging.Info, []byte("before"))
	s.Write(logging.Info, make([]byte, 70_000))
	s.Write(logging.Info, []byte("after"))
	until(t, "the others", func() bool { return d.count() == 2 })
	_ = s.Close()
	if got := s.Stats(); got != (logging.Stats{Delivered: 2, Dropped: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct{ in, network, target string }{
		{"", "", ""},
		{"udp://127.0.0.1:514", "udp", "127.0.0.1:514"},
		{"udp://log.example.com", "udp", "log.example.com:514"},
		{"udp://[::1]:5514", "udp", "[::1]:5514"},
		{"udp://[::1]", "udp", "[::1]:514"},
		{"tcp://h:1", "tcp", "h:1"},
		{"unix//dev/log", "unix", "/dev/log"},
	} {
		network, target, err := split(c.in)
		if err != nil || network != c.network || target != c.target {
			t.Errorf("%q: %q %q %v", c.in, network, target, err)
		}
	}
	for _, in := range []string{"127.0.0.1", "udp:/x", "http://x:1", "unix/dev/log", "unix:/dev/log", "udp://", "udp://:1", "tcp://h:"} {
		if network, target, err := split(in); err == nil {
			t.Errorf("%q: %q %q", in, network, target)
		}
	}
}

func TestKey(t *testing.T) {
	node := func(address, tag string) *config.Node {
		return &config.Node{
			Args: []config.Value{{Text: address}},
			Options: []config.Node{
				{Word: "facility", Args: []config.Value{{Text: "local7"}}},
				{Word: "tag", Args: []config.Value{{Text: tag}}},
			},
		}
	}
	k, err := Module().Key(node("udp://h:1", "shop"))
	if want := (logging.Key{Kind: "syslog", Target: "udp://h:1", Facility: "local7", Tag: "shop"}); err != nil || k != want {
		t.Errorf("%+v, %v", k, err)
	}
	for _, tag := range []string{"a b", "a]: forged", "a\nb", "é"} {
		if _, err := Module().Key(node("", tag)); err == nil {
			t.Errorf("tag %q was taken", tag)
		}
	}
	if _, err := Module().Key(node("pigeon://h", "x")); err == nil {
		t.Error("a wrong address was taken")
	}
}

// TestFacilities: each name of the vocabulary is one that go-syslog knows, with the
// code of RFC 5424 §6.2.1.
func TestFacilities(t *testing.T) {
	c := packets(t, "udp", "127.0.0.1:0")
	d := &daemon{}
	go d.datagrams(c)
	for i, name := range facilities {
		s, err := Open(logging.Key{Kind: "syslog", Target: "udp://" + c.LocalAddr().String(), Facility: name, Tag: "x"})
		if err != nil {
			t.Fatal(err)
		}
		s.Write(logging.Emerg, []byte("x"))
		_ = s.Close()
		until(t, name, func() bool { return d.count() == i+1 })
		code := i
		if strings.HasPrefix(name, "local") {
			code = i + 4 // 12 to 15 have no name here
		}
		if want := fmt.Sprintf("<%d>", code*8); !strings.HasPrefix(d.message(i), want) {
			t.Errorf("%s: %q, want %s", name, d.messages[i], want)
		}
	}
}
