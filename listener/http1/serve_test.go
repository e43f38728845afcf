package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

func TestPipelining(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		c := serve(t, plain, binding(paths, testLimits)).dial(t)
		c.send(req("/1") + "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" +
			"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n" +
			"\r\n" + req("/4") + "\r\n\r\n" + req("/5"))
		for _, want := range []string{"/1", "/2body", "/3body", "/4", "/5"} {
			c.want(200, want)
		}
		c.stays()
	})
}

// Far more than a buffer of pipelined requests, bodies among them.
func TestPipeliningBeyondBuffer(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		c := serve(t, plain, binding(paths, testLimits)).dial(t)
		var all strings.Builder
		var want []string
		for i := range 600 {
			path, body := fmt.Sprintf("/%d", i), strings.Repeat("b", i*7%3000)
			switch i % 3 {
			case 0:
				all.WriteString(req(path))
				body = ""
			case 1:
				fmt.Fprintf(&all, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
			case 2:
				fmt.Fprintf(&all, "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", path)
				if body != "" {
					fmt.Fprintf(&all, "%x\r\n%s\r\n", len(body), body)
				}
				all.WriteString("0\r\n\r\n")
			}
			want = append(want, path+body)
		}
		go func() { _, _ = io.WriteString(c.TCPConn, all.String()) }()
		for _, w := range want {
			c.want(200, w)
		}
		c.stays()
	})
}

// A request of which each byte comes by itself, the poller being waited for in
// between.
func TestByteByByte(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		c := serve(t, plain, binding(paths, testLimits)).dial(t)
		for range 3 {
			for _, b := range []byte("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;e\r\nab\r\n0\r\nT: u\r\n\r\n") {
				c.send(string(b))
				time.Sleep(200 * time.Microsecond) // the pause is what is tested
			}
			c.want(200, "/xab")
		}
	})
}

// The poller tells of an edge once. However requests, halves of requests and
// pauses fall together, none may be waited for that is there already.
func TestNoWakeupIsLost(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		c := serve(t, plain, binding(paths, testLimits)).dial(t)
		whole := req("/x")
		for i := range len(whole) * 3 {
			cut := i % len(whole)
			c.send(whole + whole + whole[:cut])
			c.want(200, "/x")
			if i%2 == 0 {
				time.Sleep(50 * time.Microsecond)
			}
			c.want(200, "/x")
			c.send(whole[cut:])
			c.want(200, "/x")
		}
	})
}

// corked sends bytes and the end of the stream in one segment.
func (c *client) corked(s string) {
	c.t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	_ = rc.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, cork, 1) })
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(s)
	_ = c.CloseWrite()
}

// A client that ends its side with its request is answered, and the connection
// does not stay until it is idle for too long.
func TestHalfClose(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		h := serve(t, plain, binding(paths, testLimits))
		for used := range 3 {
			c := h.dial(t)
			for range used {
				c.stays()
			}
			c.corked(req("/x"))
			c.want(200, "/x")
			c.ends()

			c = h.dial(t)
			for range used {
				c.stays()
			}
			c.corked("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n")
			c.want(200, "/xb")
			c.ends()

			// Half a request is a 400 at once, not a 408 when its time is over.
			c = h.dial(t)
			for range used {
				c.stays()
			}
			c.corked("GET /x HTTP/1.1\r\nHo")
			c.want(400, "")
			c.ends()
		}
	})
}

func TestPersistence(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		h := serve(t, plain, binding(paths, testLimits))
		for _, tt := range []struct {
			line, field, says string
			stays             bool
		}{
			{"GET / HTTP/1.1", "A: b", "", true},
			{"GET / HTTP/1.1", "Connection: close", "close", false},
			{"GET / HTTP/1.0", "A: b", "close", false},
			{"GET / HTTP/1.0", "Connection: keep-alive", "keep-alive", true},
		} {
			c := h.dial(t)
			c.send(tt.line + "\r\nHost: a\r\n" + tt.field + "\r\n\r\n")
			r := c.want(200, "/")
			says := r.Header.Get("Connection")
			if r.Close {
				says = "close" // net/http takes the field off
			}
			if says != tt.says {
				t.Errorf("%s, %s: Connection: %q", tt.line, tt.field, says)
			}
			if tt.stays {
				c.stays()
			} else {
				c.ends()
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	l := testLimits
	l.Fields = 10
	modes(t, func(t *testing.T, plain bool) {
		h := serve(t, plain, binding(paths, l))
		for _, tt := range []struct {
			raw    string
			status int
		}{
			{"GET /\r\n\r\n", 400},
			{"\n", 400},
			{req("/", "A : b"), 400},
			{req("/", strings.Split(strings.Repeat("A: b,", 10), ",")[:10]...), 431},
			{req("/", "A: "+strings.Repeat("b", 33<<10)), 431},
			{"GET /" + strings.Repeat("b", 33<<10), 414},
			{"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
			{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx", 400},
			{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: " + strings.Repeat("b", 33<<10), 431},
		} {
			for used := range 2 {
				c := h.dial(t)
				for range used {
					c.stays()
				}
				c.send(tt.raw + strings.Repeat(req("/smuggled"), 3))
				if r := c.want(tt.status, ""); !r.Close {
					t.Errorf("%.40q: the refusal does not say that the connection ends", tt.raw)
				}
				_ = c.CloseWrite()
				c.ends()
			}
		}
		// At the limits.
		c := h.dial(t)
		c.send(req("/", strings.Split(strings.Repeat("A: b,", 9), ",")[:9]...)).want(200, "/")
		c.send(req("/", "A: "+strings.Repeat("b", 31<<10))).want(200, "/")
		c.send("GET /"+strings.Repeat("b", 31<<10)+" HTTP/1.1\r\nHost: a\r\n\r\n").want(200, "/"+strings.Repeat("b", 31<<10))
	})
}

func TestTimeouts(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		l := testLimits
		l.First = 30 * time.Millisecond
		h := serve(t, plain, binding(paths, l))
		c := h.dial(t)
		c.want(408, "") // nothing came
		_ = c.CloseWrite()
		c.ends()

		l = testLimits
		l.Header = 30 * time.Millisecond
		h.source.Store(binding(paths, l))
		for used := range 2 {
			c = h.dial(t)
			for range used {
				c.stays()
			}
			c.send("GET / HT") // a slow head
			c.want(408, "")
			_ = c.CloseWrite()
			c.ends()
		}

		l = testLimits
		l.Idle = 30 * time.Millisecond
		h.source.Store(binding(paths, l))
		c = h.dial(t)
		c.stays()
		c.ends() // silently

		l = testLimits
		l.Stall = 30 * time.Millisecond
		h.source.Store(binding(paths, l))
		c = h.dial(t)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell")
		c.want(408, "")
	})
}

// uploads runs a client that sends without end and reads the answer meanwhile.
func (c *client) uploads(head string) {
	c.send(head)
	go func() {
		junk := []byte(strings.Repeat(req("/smuggled"), 1000))
		for {
			if _, err := c.Write(junk); err != nil {
				return
			}
		}
	}()
}

// An answer that does not wait for the body is delivered, and what is left of
// the body is never taken for a request.
func TestEarlyAnswer(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		var calls atomic.Int64
		l := testLimits
		l.Drain = 50 * time.Millisecond
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			calls.Add(1)
			_ = x.Respond(413, "", []byte("no"))
		}), l))
		c := h.dial(t)
		c.uploads("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
		if r := c.want(413, "no"); !r.Close {
			t.Error("the answer does not say that the connection ends")
		}
		<-h.served
		c = h.dial(t)
		c.uploads("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n")
		c.want(413, "no")
		<-h.served
		if n := calls.Load(); n != 2 {
			t.Errorf("%d exchanges, want 2", n)
		}
		// A little is drained, and the connection goes on.
		c = h.dial(t)
		body := strings.Repeat("x", 100_000)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
		if r := c.want(413, "no"); r.Close {
			t.Error("the connection ends for a little that is left")
		}
		c.send(body+req("/next")).want(413, "no")
		c.send(req("/again")).want(413, "no")
		// What does not come within the limit ends it.
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").want(413, "no")
		_, _ = io.Copy(io.Discard, c.br)
		<-h.served
	})
}

func TestExpect(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		var calls atomic.Int64
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			calls.Add(1)
			if string(x.Req.Path) == "/refuse" {
				_ = x.Respond(413, "", nil)
				return
			}
			if x.Req.Expect {
				_ = x.Inform(100, nil)
			}
			paths(x)
		}), testLimits))
		head := " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n"
		c := h.dial(t)
		for range 2 {
			c.send("POST /take"+head).want(100, "")
			c.send(strings.Repeat("x", 40)).want(200, "/take"+strings.Repeat("x", 40))
		}
		// A body that comes without waiting is one exchange with its head.
		c.send("POST /take"+head+strings.Repeat("y", 40)).want(100, "")
		c.want(200, "/take"+strings.Repeat("y", 40))
		// A final answer first: what the client sends then may be the body or
		// the next request; nobody guesses.
		c.send("POST /refuse" + head)
		if r := c.want(413, ""); !r.Close {
			t.Error("the answer does not say that the connection ends")
		}
		c.send(req("/smuggled"))
		_ = c.CloseWrite()
		c.ends()
		if n := calls.Load(); n != 4 {
			t.Errorf("%d exchanges, want 4", n)
		}
		// HTTP/1.0 knows no interim answers.
		c = h.dial(t)
		c.send("POST /take HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx").want(200, "/takex")
	})
}

// A body that ends with the connection must not look whole when it is cut: the
// client sees a reset, also while it still sends.
func TestCutIsNoEnd(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			x.Resp.Status = 200
			_ = x.Start()
			_, _ = x.Write([]byte("part"))
			_ = x.Flush()
			x.Abort(io.ErrUnexpectedEOF)
		}), testLimits))
		for _, raw := range []string{
			"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
			"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\nhalf",
		} {
			c := h.dial(t)
			rest, err := io.ReadAll(c.send(raw).br)
			if strings.Contains(raw, "1.0") && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%q: %q, %v; want a reset", raw, rest, err)
			}
			if strings.Contains(string(rest), "\r\n0\r\n") {
				t.Errorf("%q: a last chunk in %q", raw, rest)
			}
		}
	})
}

// writes notes the pieces that the client's end receives.
type writes struct {
	net.Conn
	mu     sync.Mutex
	pieces []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.pieces = append(w.pieces, string(p))
	w.mu.Unlock()
	return w.Conn.Write(p)
}

// Head and small writes leave together; a Flush is what separates them.
func TestCoalescing(t *testing.T) {
	us, them := net.Pipe()
	w := &writes{Conn: us}
	var source flow.Source
	source.Store(binding(flowtest.Func(func(x *flow.Exchange) {
		x.Resp.Status = 200
		_ = x.Start()
		for range 5 {
			_, _ = x.Write([]byte("x"))
		}
		_ = x.Flush()
		_, _ = x.Write([]byte("y"))
		_, _ = x.Write([]byte("z"))
		_ = x.Finish()
	}), testLimits))
	done := make(chan bool)
	go func() {
		defer close(done)
		Server{}.ServeConn(&flow.Conn{Conn: w, Accepted: time.Now(), Source: &source})
		_ = us.Close()
	}()
	go func() { _, _ = io.WriteString(them, req("/", "Connection: close")) }()
	all, _ := io.ReadAll(them)
	<-done
	chunk := "1\r\nx\r\n"
	want := []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + strings.Repeat(chunk, 5), "1\r\ny\r\n1\r\nz\r\n0\r\n\r\n"}
	if fmt.Sprintf("%q", w.pieces) != fmt.Sprintf("%q", want) || string(all) != strings.Join(want, "") {
		t.Errorf("sent as %q", w.pieces)
	}
}

// A client that stops reading is let go of, one that reads slowly is served.
func TestSlowReaders(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		l := testLimits
		l.Stall = 300 * time.Millisecond
		errs := make(chan error, 1)
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			x.Resp.Status = 200
			_ = x.Start()
			p := bytes.Repeat([]byte("x"), 1<<20)
			var err error
			for i := 0; i < 64 && err == nil; i++ {
				_, err = x.Write(p)
			}
			_ = x.Finish()
			errs <- err
		}), l))
		c := h.dial(t)
		c.send(req("/"))
		var fault *flow.Error
		if err := <-errs; !errors.As(err, &fault) || !fault.Timeout || fault.Side != flow.SideClient {
			t.Errorf("writing to a client that does not read: %v", err)
		}
		<-h.served
		l.Stall = guardTime
		b := h.source.Load()
		h.source.Store(binding(b.Server, l))
		c = h.dial(t)
		r := c.send(req("/")).answer("GET")
		if err := <-errs; err != nil || r.err != nil || len(r.body) != 64<<20 {
			t.Errorf("%v, %v, %d bytes", err, r.err, len(r.body))
		}
	})
}

// A client that resets in the middle of its answer ends the exchange.
func TestClientReset(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		errs := make(chan error, 1)
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			x.Resp.Status = 200
			_ = x.Start()
			p := bytes.Repeat([]byte("x"), 1<<16)
			for {
				if _, err := x.Write(p); err != nil {
					errs <- err
					return
				}
			}
		}), testLimits))
		c := h.dial(t)
		c.send(req("/"))
		_, _ = c.br.ReadByte()
		_ = c.SetLinger(0)
		_ = c.Close()
		var fault *flow.Error
		if err := <-errs; !errors.As(err, &fault) || fault.Side != flow.SideClient || fault.Timeout {
			t.Errorf("%v", err)
		}
		<-h.served
	})
}
