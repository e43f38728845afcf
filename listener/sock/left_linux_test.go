package sock

import (
	"net"
	"testing"
	"time"
)

// What a peer does, and whether it has then left.
func TestLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	send := func(c *net.TCPConn) { _, _ = c.Write([]byte("hello")) }
	for _, c := range []struct {
		name           string
		do             func(*net.TCPConn)
		left, halfOpen bool
	}{
		{"nothing", func(*net.TCPConn) {}, false, false},
		{"sends", send, false, false},
		{"ends its half", func(c *net.TCPConn) { _ = c.CloseWrite() }, true, true},
		{"sends, and ends its half", func(c *net.TCPConn) { send(c); _ = c.CloseWrite() }, true, false},
		{"closes", func(c *net.TCPConn) { _ = c.Close() }, true, true},
		{"resets", func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }, true, true},
	} {
		peer, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		here, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		raw := Raw(here)
		c.do(peer.(*net.TCPConn))
		for end := time.Now().Add(5 * time.Second); Left(raw, false) != c.left && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // it is on its way
		}
		if got, half := Left(raw, false), Left(raw, true); got != c.left || half != c.halfOpen {
			t.Errorf("%s: left %v, with halves %v; want %v, %v", c.name, got, half, c.left, c.halfOpen)
		}
		_ = here.Close()
		if !Left(raw, false) {
			t.Errorf("%s: not left when we closed ourselves", c.name)
		}
		_ = peer.Close()
	}
}
