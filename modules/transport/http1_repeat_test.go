package transport

import (
	"bufio"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/sock"
)

// A server that reads a POST on a used connection and resets that without a word has
// seen it, though its kernel has not acknowledged it by itself: the acknowledgement
// that a reset carries is never looked at. It is not sent again.
func TestResetIsNoProof(t *testing.T) {
	chunked := strings.Replace(post, "Content-Length: 4\r\n\r\nbody", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", 1)
	reset := func(c *net.TCPConn, br *bufio.Reader) {
		reads(br)
		resets(c, br)
	}
	for name, tt := range map[string]struct {
		raw  string
		take script // of the POST, what it acts on; then the connection is closed
	}{
		"reset behind it":          {post, reset},
		"reset behind chunks":      {chunked, reset},
		"closed with bytes unread": {post, func(c *net.TCPConn, _ *bufio.Reader) { _, _ = c.Read(make([]byte, 40)) }},
	} {
		t.Run(name, func(t *testing.T) {
			var seen atomic.Int64
			o := newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
				r, _ := reads(br)
				if r != nil && r.Method == "GET" {
					says(c, hello)
					tt.take(c, br)
				}
				if r != nil {
					seen.Add(1)
				}
			})
			p := newProxy(t, o, testTimeouts)
			for i := range int64(50) {
				c := p.dial(t).send(get)
				c.want(200, "hello")
				p.idles(t, 1)
				if r := c.send(tt.raw).answer("POST"); r.StatusCode != 502 || seen.Load() != i+1 {
					t.Fatalf("POST %d: status %d, seen %d times in all", i+1, r.StatusCode, seen.Load())
				}
				if f := p.fault.Load(); !f.Begun || f.Stale {
					t.Fatal(flags(f))
				}
				_ = c.Close()
			}
		})
	}
}

// Who has seen a request of which nothing came back.
func TestSeen(t *testing.T) {
	const before = 100
	for name, tt := range map[string]struct {
		written, acked int64
		torn           bool
		err            error
		want           bool
	}{
		"nothing was written":                 {before, before + 1, true, syscall.ECONNRESET, false},
		"end, nothing acknowledged":           {before + 50, before + 1, false, errClosed, false},
		"end, something acknowledged":         {before + 50, before + 2, false, errClosed, true},
		"end, cannot be told":                 {before + 50, -1, false, errClosed, true},
		"reset":                               {before + 50, before + 1, false, syscall.ECONNRESET, true},
		"an end that a reset told to a write": {before + 50, before + 1, true, errClosed, true},
		"no route any more":                   {before + 50, before + 1, false, syscall.ETIMEDOUT, true},
	} {
		c := &conn{written: tt.written, work: &work{torn: tt.torn}}
		if got := c.seen(tt.err, before, tt.acked); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Why torn: a write that is told of a reset leaves to reads an end that looks orderly.
func TestResetLeavesAnEnd(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing is asked of other kernels (sock.Acked)")
	}
	a, b := pair(t)
	defer a.Close()
	_ = b.(*net.TCPConn).SetLinger(0)
	_ = b.Close()
	raw := sock.Raw(a)
	until(t, "the reset", func() bool { return sock.Left(raw, true) })
	if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("write: %v", err)
	}
	if n, err := a.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %d, %v: torn is needless", n, err)
	}
}
