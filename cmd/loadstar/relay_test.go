package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

func TestGoodAnswers(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	answers := map[string]string{
		"/length":      ok + "Content-Length: 5\r\n\r\nhello",
		"/chunked":     ok + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Sum: 7\r\n\r\n",
		"/to-the-end":  ok + "Connection: close\r\n\r\nhello",
		"/old":         "HTTP/1.0 200 OK\r\n\r\nhello",
		"/204":         "HTTP/1.1 204 No Content\r\n\r\n",
		"/304":         "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
		"/empty":       ok + "Content-Length: 0\r\n\r\n",
		"/no-reason":   "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
		"/hints":       "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello",
		"/head":        ok + "Content-Length: 5\r\n\r\n",
		"/head-length": ok + "Content-Length: 1000000000\r\n\r\n",
	}
	port, _ := scripted(t, answers, false)
	ask := func(t *testing.T, method, target, version string) (*e2e.Client, e2e.Answer) {
		t.Helper()
		c := e2e.Dial(t, port)
		c.Send(method + " " + target + " HTTP/" + version + "\r\nHost: www.example\r\n\r\n")
		return c, c.Answer(method)
	}
	for _, target := range []string{"/length", "/chunked", "/to-the-end", "/old", "/no-reason"} {
		for _, version := range []string{"1.1", "1.0"} {
			t.Run(target[1:]+" to "+version, func(t *testing.T) {
				c, a := ask(t, "GET", target, version)
				if a.Status != 200 || a.Body != "hello" || !a.Complete {
					t.Errorf("%d %q (%v)", a.Status, a.Body, a.Err)
				}
				if version == "1.0" && a.Chunked {
					t.Error("HTTP/1.0 was answered in chunks")
				}
				if version == "1.0" && !c.Closed() {
					t.Error("HTTP/1.0 without keep-alive was not closed")
				}
				if target == "/chunked" && version == "1.1" && a.Trailer.Get("X-Sum") != "7" {
					t.Errorf("trailer %v", a.Trailer)
				}
			})
		}
	}
	for target, status := range map[string]int{"/204": 204, "/304": 304, "/empty": 200} {
		t.Run(target[1:], func(t *testing.T) {
			c, a := ask(t, "GET", target, "1.1")
			if a.Status != status || a.Body != "" || a.Chunked {
				t.Errorf("%d %q, chunked %v", a.Status, a.Body, a.Chunked)
			}
			keepsGoing(t, c, a)
		})
	}
	t.Run("HEAD", func(t *testing.T) {
		c, a := ask(t, "HEAD", "/head", "1.1")
		if a.Status != 200 || a.Header.Get("Content-Length") != "5" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
		keepsGoing(t, c, a)
		if _, a = ask(t, "HEAD", "/head-length", "1.1"); a.Header.Get("Content-Length") != "1000000000" {
			t.Errorf("%v", a.Header)
		}
	})
	t.Run("103", func(t *testing.T) {
		c, a := ask(t, "GET", "/hints", "1.1")
		if a.Status != 103 || a.Header.Get("Link") != "</a>" {
			t.Errorf("interim: %d %v (%v)", a.Status, a.Header, a.Err)
		}
		if a = c.Answer("GET"); a.Status != 200 || a.Body != "hello" {
			t.Errorf("final: %d %q (%v)", a.Status, a.Body, a.Err)
		}
		// HTTP/1.0 knows no interim answers (RFC 9110 §15.2).
		if _, a = ask(t, "GET", "/hints", "1.0"); a.Status != 200 {
			t.Errorf("to HTTP/1.0: %d", a.Status)
		}
	})
}

// keepsGoing checks that the connection can be used on, when it says so.
func keepsGoing(t *testing.T, c *e2e.Client, a e2e.Answer) {
	t.Helper()
	if a.Close {
		return
	}
	c.Send("GET /another HTTP/1.1\r\nHost: www.example\r\n\r\n")
	if b := c.Answer("GET"); b.Status != 200 || b.Body != "ok" {
		t.Errorf("the next request: %d %q (%v)", b.Status, b.Body, b.Err)
	}
}

func TestPipelining(t *testing.T) {
	port, o := front(t)
	c := e2e.Dial(t, port)
	var all strings.Builder
	for i := range 20 {
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: www.example\r\nContent-Length: 3\r\n\r\nabc", i)
	}
	c.Send(all.String())
	for i := range 20 {
		if a := c.Answer("POST"); a.Status != 200 || a.Body != "ok" {
			t.Fatalf("answer %d: %d %q (%v)", i, a.Status, a.Body, a.Err)
		}
	}
	c.Close()
	messages, _ := o.Settled(t, port)
	if len(messages) != 20 {
		t.Fatalf("%d of 20 were forwarded", len(messages))
	}
	for i, m := range messages {
		if m.Target != fmt.Sprintf("/%d", i) || m.Body != "abc" {
			t.Errorf("%d: %s %q", i, m.Target, m.Body)
		}
	}
}

func TestHalfClosedClientIsAnswered(t *testing.T) {
	port, _ := front(t)
	c := e2e.Dial(t, port)
	c.Send("GET / HTTP/1.1\r\nHost: www.example\r\n\r\n")
	c.CloseWrite()
	if a := c.Answer("GET"); a.Status != 200 || a.Body != "ok" {
		t.Errorf("%d %q (%v)", a.Status, a.Body, a.Err)
	}
}

func TestExpectContinue(t *testing.T) {
	port, o := front(t)
	c := e2e.Dial(t, port)
	c.Send("POST /case HTTP/1.1\r\nHost: www.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if a := c.Answer("POST"); a.Status != 100 {
		t.Fatalf("instead of 100: %d (%v)", a.Status, a.Err)
	}
	c.Send("hello")
	if a := c.Answer("POST"); a.Status != 200 {
		t.Errorf("after the body: %d (%v)", a.Status, a.Err)
	}
	c.Close()
	if messages, _ := o.Settled(t, port); len(messages) != 1 || messages[0].Body != "hello" {
		t.Errorf("forwarded: %+v", messages)
	}
}

// rawServer answers every connection by a function.
func rawServer(t *testing.T, serve func(c net.Conn, br *bufio.Reader)) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	_, _ = fmt.Sscanf(l.Addr().String(), "127.0.0.1:%d", &port)
	return port
}

// TestEarlyAnswer: a server refuses an upload before it has read it. The client
// gets the refusal while it still sends, and the rest of its body is no request.
func TestEarlyAnswer(t *testing.T) {
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	origin := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
		<-hold
	})
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, plain(port, origin), port)
	for _, framing := range []string{"Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		c := e2e.Dial(t, port)
		c.Send("POST /up HTTP/1.1\r\nHost: www.example\r\n" + framing + "\r\n\r\n1000\r\n")
		// Nothing more is sent: only an answer that does not wait for the body can come.
		if a := c.Answer("POST"); a.Status != 413 || a.Body != "big" {
			t.Errorf("%s: %d %q (%v)", framing, a.Status, a.Body, a.Err)
		}
		c.Send(smuggled)
		c.CloseWrite()
		if a := c.Answer("GET"); a.Status != 0 {
			t.Errorf("%s: the body's rest was answered as a request: %d", framing, a.Status)
		}
	}
}

// TestExpectRefused: a final answer instead of 100 means that the body is not read.
func TestExpectRefused(t *testing.T) {
	origin := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
		}
	})
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, plain(port, origin), port)
	c := e2e.Dial(t, port)
	c.Send("POST /up HTTP/1.1\r\nHost: www.example\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
	a := c.Answer("POST")
	if a.Status == 100 { // answered by the proxy itself, which it may
		a = c.Answer("POST")
	}
	if a.Status != 417 {
		t.Errorf("%d (%v)", a.Status, a.Err)
	}
	c.Send(smuggled)
	c.CloseWrite()
	if b := c.Answer("GET"); b.Status != 0 {
		t.Errorf("the body that was not wanted was answered as a request: %d", b.Status)
	}
}

// TestLargeBodies stream both ways, in both framings.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	origin := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Got: %d\r\n", n)
			if r.URL.Path == "/chunked" {
				_, _ = io.WriteString(c, "Transfer-Encoding: chunked\r\n\r\n")
				for range size / 4096 {
					_, _ = io.WriteString(c, "1000\r\n"+strings.Repeat("a", 4096)+"\r\n")
				}
				_, _ = io.WriteString(c, "0\r\n\r\n")
				continue
			}
			_, _ = fmt.Fprintf(c, "Content-Length: %d\r\n\r\n%s", size, strings.Repeat("a", size))
		}
	})
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, plain(port, origin), port)
	c := e2e.Dial(t, port)
	for _, target := range []string{"/length", "/chunked", "/length"} {
		go func() { // the proxy may answer before all is sent
			if target == "/chunked" {
				c.Send("POST " + target + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
					strings.Repeat("2000\r\n"+strings.Repeat("b", 8192)+"\r\n", size/8192) + "0\r\n\r\n")
				return
			}
			c.Send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", target, size, strings.Repeat("b", size)))
		}()
		a := c.Answer("POST")
		if a.Status != 200 || len(a.Body) != size || !a.Complete || a.Header.Get("X-Got") != fmt.Sprint(size) {
			t.Fatalf("%s: %d, %d bytes, %v (%v)", target, a.Status, len(a.Body), a.Header, a.Err)
		}
	}
}

// TestStaleServerConnection: the server closes its idle connections; no client
// may notice, POST included.
func TestStaleServerConnection(t *testing.T) {
	var closed = make(chan struct{}, 1000)
	origin := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_ = c.Close()
		closed <- struct{}{}
	})
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, plain(port, origin), port)
	c := e2e.Dial(t, port)
	for i := range 200 {
		c.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
		if a := c.Answer("POST"); a.Status != 200 {
			t.Fatalf("request %d: %d (%v)", i, a.Status, a.Err)
		}
		<-closed
	}
	if !rig.Until(e2e.Patience, func() bool { return len(closed) == 0 }) {
		t.Error("the server saw more requests than were sent")
	}
}
