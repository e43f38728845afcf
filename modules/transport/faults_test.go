package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// What a server can do wrong before its answer's head is there, on a fresh
// connection, to a GET.
func TestFaults(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		name   string
		s      script
		status int
		flags  string
		cause  string
	}{
		{"close after the request", once("", nil), 502, "SH begun", "empty answer"},
		{"reset after the request", once("", resets), 502, "SH begun", "empty answer"},
		{"half a head", once("HTTP/1.1 200 OK\r\nContent-Le", nil), 502, "SH begun", "server closed before its answer"},
		{"half a head, reset", once("HTTP/1.1 200 OK\r\nContent-Le", func(c *net.TCPConn, br *bufio.Reader) {
			time.Sleep(time.Millisecond)
			resets(c, br)
		}), 502, "SH begun", "server closed before its answer"},
		{"hang", once("", lasts), 504, "sH begun", "no answer in time"},
		{"hang inside the head", once("HTTP/1.1 200 OK\r\nA: ", lasts), 504, "sH begun", "no answer in time"},
		{"hang behind an interim answer", once("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", lasts), 504, "sH begun", "no answer in time"},
		{"junk", once("junk junk junk\r\n\r\n", lasts), 502, "PH begun", "invalid answer"},
		{"junk without a line", once(long, lasts), 502, "PH begun", "invalid answer"},
		{"bare LF", once("HTTP/1.1 200 OK\nContent-Length: 0\n\n", lasts), 502, "PH begun", "invalid answer"},
		{"HTTP/2", once("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", lasts), 502, "PH begun", "invalid answer"},
		{"status of four digits", once("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", lasts), 502, "PH begun", "invalid answer"},
		{"two lengths", once("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", lasts), 502, "PH begun", "invalid answer"},
		{"length and chunked", once("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", lasts), 502, "PH begun", "invalid answer"},
		{"other coding", once("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", lasts), 502, "PH begun", "invalid answer"},
		{"head of 40 KB", once("HTTP/1.1 200 OK\r\nA: "+long[:40_000]+"\r\n\r\n", lasts), 502, "PH begun", "invalid answer"},
		{"head without end", once("HTTP/1.1 200 OK\r\n"+strings.Repeat("A: "+long+"\r\n", 10), lasts), 502, "PH begun", "invalid answer"},
		{"201 fields", once("HTTP/1.1 200 OK\r\n"+strings.Repeat("A: b\r\n", 201)+"\r\n", lasts), 502, "PH begun", "invalid answer"},
		{"nine interim answers", once(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 9)+hello, lasts), 502, "PH begun", "invalid answer"},
		{"101 unasked", once("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", lasts), 502, "PH begun", "invalid answer"},
		{"interim answer, then the end", once("HTTP/1.1 103 Early Hints\r\nX-Leak: 1\r\n\r\n", nil), 502, "SH begun", "server closed before its answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			timeouts := testTimeouts
			if strings.HasPrefix(tt.name, "hang") {
				timeouts.FirstByte = 50 * time.Millisecond
			}
			p := newProxy(t, newOrigin(t, tt.s), timeouts)
			c := p.dial(t).send(get)
			r := c.answer("GET")
			for r.StatusCode < 200 {
				r = c.answer("GET")
			}
			fault := p.fault.Load()
			if r.StatusCode != tt.status || flags(fault) != tt.flags || fault.Cause != tt.cause {
				t.Errorf("status %d, %s %q; want %d, %s %q", r.StatusCode, flags(fault), fault, tt.status, tt.flags, tt.cause)
			}
			if len(r.Header) > 1 { // Content-Length
				t.Errorf("fields of the broken answer went out: %v", r.Header)
			}
			if p.idle.Len() != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestConnectRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	p := newProxy(t, l, testTimeouts)
	p.dial(t).send(post).want(503, "")
	if got := flags(p.fault.Load()); got != "SC" {
		t.Error(got)
	}
}

// A server whose queue is full does not answer the handshake.
func TestConnectTimeout(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	unix.CloseOnExec(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}
	for {
		c, err := net.DialTimeout("tcp", addr.String(), 100*time.Millisecond)
		if err != nil {
			break
		}
		defer c.Close()
	}
	timeouts := testTimeouts
	timeouts.Connect = 50 * time.Millisecond
	p := newProxy(t, listenerAt{addr}, timeouts)
	p.dial(t).send(get).want(503, "")
	if got := flags(p.fault.Load()); got != "sC" {
		t.Error(got)
	}
}

// listenerAt is the address of a listener.
type listenerAt struct{ addr net.Addr }

func (l listenerAt) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (l listenerAt) Close() error              { return nil }
func (l listenerAt) Addr() net.Addr            { return l.addr }

// A body that breaks off never looks whole, and the connection is gone.
func TestBrokenBodies(t *testing.T) {
	head, chunked := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	big := "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
	later := func(s string, then script) script {
		return func(c *net.TCPConn, br *bufio.Reader) {
			time.Sleep(time.Millisecond)
			says(c, s)
			if then != nil {
				then(c, br)
			}
		}
	}
	for _, tt := range []struct {
		name, method string
		s            script
		flags        string
	}{
		{"length, end", "GET", once(head+"12345", nil), "SD begun"},
		{"length, end later", "GET", once(head, later("12345", nil)), "SD begun"},
		{"length, reset", "GET", once(head+"12345", later("", resets)), "SD begun"},
		{"length, stall", "GET", once(head+"12345", lasts), "sD begun"},
		{"bulk, end", "GET", once(big, later("12345", nil)), "SD begun"},
		{"bulk, reset", "GET", once(big, later("12345", later("", resets))), "SD begun"},
		{"bulk, stall", "GET", once(big, later("12345", lasts)), "sD begun"},
		{"chunked, end", "GET", once(chunked+"5\r\n12345\r\n", nil), "SD begun"},
		{"chunked, no trailer end", "GET", once(chunked+"5\r\n12345\r\n0\r\nA: b\r\n", nil), "SD begun"},
		{"chunked, junk", "GET", once(chunked+"5\r\n12345\r\nxyz", lasts), "SD begun"},
		{"chunked, bad trailer", "GET", once(chunked+"0\r\nno colon\r\n\r\n", lasts), "SD begun"},
		{"chunked, long trailer", "GET", once(chunked+"0\r\nA: "+strings.Repeat("x", 70_000)+"\r\n\r\n", lasts), "SD begun"},
		{"chunked, reset", "GET", once(chunked+"5\r\n12345\r\n", later("", resets)), "SD begun"},
		{"until close, reset", "GET", once("HTTP/1.1 200 OK\r\n\r\n12345", later("", resets)), "SD begun"},
		{"until close, stall", "GET", once("HTTP/1.1 200 OK\r\n\r\n12345", lasts), "sD begun"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			timeouts := testTimeouts
			if strings.Contains(tt.name, "stall") {
				timeouts.Stall = 50 * time.Millisecond
			}
			p := newProxy(t, newOrigin(t, tt.s), timeouts)
			if strings.HasPrefix(tt.name, "bulk") {
				stalls(p, timeouts.Stall)
			}
			if r := p.dial(t).send(get).answer("GET"); r.err == nil {
				t.Errorf("a whole answer: %q", r.body)
			}
			rec := <-p.record
			var fault *flow.Error
			if !errors.As(rec.Err, &fault) || flags(fault) != tt.flags {
				t.Errorf("%s (%v), want %s", flags(fault), rec.Err, tt.flags)
			}
			if p.idle.Len() != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

// stalls has the client's side use the same stall timeout, which guards a relay.
func stalls(p *proxy, d time.Duration) { p.stall = d }

// A slow server is not a silent one: a long body may take longer than any one
// timeout.
func TestSlowBulkBody(t *testing.T) {
	const n = 30
	piece := strings.Repeat("x", 10_000)
	p := newProxy(t, newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
		reads(br)
		says(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n*len(piece)))
		for range n {
			time.Sleep(50 * time.Millisecond) // longer, all together, than either timeout
			says(c, piece)
		}
		lasts(c, br)
	}), timeoutsOf(time.Second))
	stalls(p, time.Second)
	p.dial(t).send(get).want(200, strings.Repeat(piece, n))
	p.idles(t, 1)
}

// A client that stops reading does not hold the server for ever.
func TestStuckClient(t *testing.T) {
	gone := make(chan error, 1)
	p := newProxy(t, newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
		reads(br)
		says(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
		piece := make([]byte, 1<<20)
		for {
			if _, err := c.Write(piece); err != nil {
				gone <- err
				return
			}
		}
	}), timeoutsOf(guardTime))
	stalls(p, 100*time.Millisecond)
	c := p.dial(t).send(get)
	_, _ = c.br.ReadByte()
	<-gone
	rec := <-p.record
	var fault *flow.Error
	if !errors.As(rec.Err, &fault) || flags(fault) != "cD" {
		t.Errorf("%v", rec.Err)
	}
	_, _ = io.Copy(io.Discard, c.br)
}
