package sock

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// pair gives both ends of a connection, and what sock works on of the first.
func pair(t *testing.T) (a, b *net.TCPConn, rc syscall.RawConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); _ = d.Close() })
	return c.(*net.TCPConn), d.(*net.TCPConn), Raw(c)
}

// on runs f with the descriptor.
func on(t *testing.T, rc syscall.RawConn, f func(fd uintptr)) {
	t.Helper()
	if err := rc.Control(f); err != nil {
		t.Fatal(err)
	}
}

// waits for a condition that the kernel brings about.
func waits(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("what must come does not")
		}
	}
}

func TestReadWrite(t *testing.T) {
	_, b, rc := pair(t)
	buf := make([]byte, 10)
	on(t, rc, func(fd uintptr) {
		if n, err := Read(fd, buf); n != 0 || err != ErrAgain {
			t.Errorf("nothing there: %d, %v", n, err)
		}
		if n, err := Write(fd, []byte("one ")); n != 4 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := Writev(fd, []byte("two "), []byte("three")); n != 9 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	got := make([]byte, 13)
	if _, err := io.ReadFull(b, got); err != nil || string(got) != "one two three" {
		t.Errorf("%q, %v", got, err)
	}
	_, _ = b.Write([]byte("answer"))
	_ = b.Close()
	waits(t, func() bool { return Stale(rc) })
	on(t, rc, func(fd uintptr) {
		if n, err := Read(fd, buf); string(buf[:n]) != "answer" || err != nil {
			t.Errorf("%q, %v", buf[:n], err)
		}
	})
	waits(t, func() bool { return Ended(rc) })
	on(t, rc, func(fd uintptr) {
		if n, err := Read(fd, buf); n != 0 || err != nil {
			t.Errorf("end: %d, %v", n, err)
		}
	})
}

// A socket that is full takes part of what it is given, then nothing; the parts
// add up.
func TestShortWrites(t *testing.T) {
	a, b, rc := pair(t)
	_ = a.SetWriteBuffer(8 << 10)
	head, piece := make([]byte, 100), make([]byte, 64<<10)
	total := 0
	on(t, rc, func(fd uintptr) {
		for {
			n, err := Writev(fd, head, piece)
			total += n
			if err == ErrAgain && n == 0 {
				return
			}
			if err != nil {
				t.Errorf("%d, %v", n, err)
				return
			}
		}
	})
	_ = a.CloseWrite()
	if n, err := io.Copy(io.Discard, b); n != int64(total) || err != nil {
		t.Errorf("%d of %d bytes, %v", n, total, err)
	}
}

func TestQuietEndedStale(t *testing.T) {
	one := make([]byte, 1)
	for _, tt := range []struct {
		name                string
		end                 func(*net.TCPConn)
		quiet, ended, stale bool
	}{
		{"idle", func(*net.TCPConn) {}, true, false, false},
		{"bytes", func(b *net.TCPConn) { _, _ = b.Write([]byte("x")) }, false, false, true},
		{"closed", func(b *net.TCPConn) { _ = b.Close() }, false, true, true},
		{"half-closed", func(b *net.TCPConn) { _ = b.CloseWrite() }, false, true, true},
		{"bytes and the end", func(b *net.TCPConn) { _, _ = b.Write([]byte("x")); _ = b.Close() }, false, false, true},
	} {
		_, b, rc := pair(t)
		tt.end(b)
		quiet := func() (q bool) {
			on(t, rc, func(fd uintptr) { q = Quiet(fd, one) })
			return q
		}
		waits(t, func() bool { return quiet() == tt.quiet })
		if Ended(rc) != tt.ended || Stale(rc) != tt.stale {
			t.Errorf("%s: ended %v, stale %v", tt.name, Ended(rc), Stale(rc))
		}
	}
	a, _, rc := pair(t)
	_ = a.Close()
	if !Ended(rc) || !Stale(rc) {
		t.Error("a closed socket is not at its end")
	}
}

func TestReset(t *testing.T) {
	a, b, rc := pair(t)
	_ = b.SetLinger(0)
	_ = b.Close()
	waits(t, func() bool { return Stale(rc) })
	_, err := a.Write([]byte("x"))
	for err == nil {
		_, err = a.Write([]byte("x"))
	}
	if !Reset(err) || Reset(io.EOF) || Reset(nil) || Reset(errors.New("x")) {
		t.Errorf("%v", err)
	}
}

// What the peer's kernel has taken is counted; a SYN counts as one byte.
func TestAcked(t *testing.T) {
	a, _, rc := pair(t)
	before := Acked(rc)
	if before < 0 {
		t.Skip("not told here")
	}
	if before != 1 {
		t.Errorf("%d bytes acknowledged of a new connection", before)
	}
	_, _ = a.Write(make([]byte, 1000))
	waits(t, func() bool { return Acked(rc) == 1001 })
	_ = a.Close()
	if Acked(rc) != -1 {
		t.Error("a closed socket tells something")
	}
}

func TestRaw(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Raw(a) != nil {
		t.Error("a pipe has a descriptor")
	}
}

func TestAllocations(t *testing.T) {
	_, b, rc := pair(t)
	one, buf := make([]byte, 1), make([]byte, 100)
	go func() { _, _ = io.Copy(io.Discard, b) }()
	f := func(fd uintptr) {
		_, _ = Write(fd, one)
		_, _ = Writev(fd, one, one)
		_, _ = Read(fd, buf)
		_ = Quiet(fd, one)
	}
	if n := testing.AllocsPerRun(100, func() { _ = rc.Control(f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
