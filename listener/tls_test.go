package listener

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func pairOf(t *testing.T) (*socket, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close(); _ = nc.Close() })
	s, ok := beneath(nc).(*socket)
	if !ok {
		t.Fatal("a TCP connection has no descriptor")
	}
	return s, peer.(*net.TCPConn)
}

func TestSocketBeneathTLS(t *testing.T) {
	s, peer := pairOf(t)
	buf := make([]byte, 16)
	for range 4 {
		if _, err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		_ = s.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := s.Read(buf); err != nil || string(buf[:n]) != "hello" {
			t.Fatalf("%q (%v)", buf[:n], err)
		}
	}
	// More than the kernel takes at once arrives whole.
	big := bytes.Repeat([]byte("x"), 8<<20)
	got := make(chan int64)
	go func() { n, _ := io.Copy(io.Discard, peer); got <- n }()
	if n, err := s.Write(big); n != len(big) || err != nil {
		t.Fatal(n, err)
	}
	_ = s.CloseWrite()
	if n := <-got; n != int64(len(big)) {
		t.Errorf("%d bytes arrived", n)
	}
	_ = s.SetWriteDeadline(time.Unix(1, 0))
	if _, err := s.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write behind its deadline: %v", err)
	}
	_ = s.SetWriteDeadline(time.Time{})
}

// An end that came together with the last bytes is seen, as often as it is asked for.
func TestSocketSeesTheEnd(t *testing.T) {
	s, peer := pairOf(t)
	if _, err := peer.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	_ = peer.Close()
	_ = s.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 16)
	if n, err := s.Read(buf); err != nil || n != 4 {
		t.Fatal(n, err)
	}
	if _, err := s.Read(buf); err != io.EOF {
		t.Errorf("the end: %v", err)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = s.Read(buf) }); n != 0 {
		t.Error(n, "allocations")
	}
}

func TestPlainHTTP(t *testing.T) {
	for text, want := range map[string]bool{
		"GET /": true, "POST ": true, "HEAD ": true, "OPTIO": true, "PRI *": true,
		"get /": false, "\x16\x03\x01\x02\x00": false, "A    ": false, "\x00\x00\x00\x00\x00": false,
	} {
		if got := plainHTTP([5]byte([]byte(text))); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
