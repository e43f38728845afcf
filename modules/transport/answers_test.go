package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Answers that are right, and whether their connection serves again.
func TestAnswers(t *testing.T) {
	big := strings.Repeat("0123456789", 50_000)
	for _, tt := range []struct {
		name, method string
		raw          string
		end          script // after the answer; nil closes
		status       int
		body         string
		reused       bool
	}{
		{"length", "GET", hello, lasts, 200, "hello", true},
		{"length, close announced", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", lasts, 200, "hello", false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", lasts, 200, "hello", false},
		{"HTTP/1.0, keep-alive", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", lasts, 200, "hello", true},
		{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", lasts, 200, "", true},
		{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\n\r\n", lasts, 200, "hello", true},
		{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nhello", nil, 200, "hello", false},
		{"until close, empty", "GET", "HTTP/1.1 200 OK\r\n\r\n", nil, 200, "", false},
		{"bulk", "GET", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(big), big), lasts, 200, big, true},
		{"bulk chunked", "GET", fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(big), big), lasts, 200, big, true},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", lasts, 200, "", true},
		{"HEAD, chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", lasts, 200, "", true},
		{"HEAD, with a body", "HEAD", hello, lasts, 200, "", false},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", lasts, 204, "", true},
		{"204, with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", lasts, 204, "", false},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", lasts, 304, "", true},
		{"304, with a body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", lasts, 304, "", false},
		{"bytes behind", "GET", hello + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", lasts, 200, "hello", false},
		{"bytes behind chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nx", lasts, 200, "hello", false},
		{"end with the answer", "GET", hello, nil, 200, "hello", false},
		{"eight interim answers", "GET", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 8) + hello, lasts, 200, "hello", true},
		{"100 unasked", "GET", "HTTP/1.1 100 Continue\r\n\r\n" + hello, lasts, 200, "hello", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, once(tt.raw, tt.end), answers(hello))
			p := newProxy(t, o, testTimeouts)
			c := p.dial(t).send(tt.method + " /x HTTP/1.1\r\nHost: a\r\n\r\n")
			r := c.answer(tt.method)
			for interim := 0; r.StatusCode < 200; interim++ {
				r = c.answer(tt.method)
			}
			if r.StatusCode != tt.status || r.body != tt.body || r.err != nil {
				t.Fatalf("status %d, %.60q (%d), %v", r.StatusCode, r.body, len(r.body), r.err)
			}
			switch {
			case tt.reused:
				p.idles(t, 1)
			case tt.name == "end with the answer":
				// It may be kept for as long as the end has not come.
			default:
				<-p.record
				if p.idle.Len() != 0 {
					t.Error("the connection was kept")
				}
			}
			if tt.end != nil || !r.Close {
				if tt.reused {
					p.idle.Flush() // the script has no more to say
				}
				p.dial(t).send(get).want(200, "hello")
			}
		})
	}
}

// A head that comes byte by byte, behind an interim one that is longer.
func TestSplitHeads(t *testing.T) {
	for _, pause := range []time.Duration{0, 100 * time.Microsecond} {
		p := newProxy(t, newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
			for {
				if r, _ := reads(br); r == nil {
					return
				}
				says(c, "HTTP/1.1 103 Early Hints\r\nLink: "+strings.Repeat("x", 300)+"\r\n\r\n")
				time.Sleep(time.Millisecond)
				for _, b := range []byte("HTTP/1.1 204\r\n\r\n") {
					says(c, string(b))
					time.Sleep(pause)
				}
			}
		}), testTimeouts)
		c := p.dial(t)
		for range 3 {
			c.send(get)
			if r := c.answer("GET"); r.StatusCode != 103 || len(r.Header.Get("Link")) != 300 {
				t.Fatalf("%d %v", r.StatusCode, r.Header)
			}
			c.want(204, "")
		}
		p.idles(t, 1)
	}
}

func TestTrailers(t *testing.T) {
	var got http.Header
	p := newProxy(t, newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
		for {
			r, body := reads(br)
			if r == nil {
				return
			}
			got = r.Trailer
			says(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: %d\r\nContent-Length: 50\r\n\r\n", len(body), body, len(body)))
		}
	}), testTimeouts)
	c := p.dial(t)
	for range 2 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Up\r\nTransfer-Encoding: chunked\r\n\r\n")
		time.Sleep(time.Millisecond) // the body by itself: a pump sends it
		c.send("4\r\nbody\r\n0\r\nX-Up: 1\r\nHost: evil\r\n\r\n")
		r := c.want(200, "body")
		if r.Trailer.Get("X-Sum") != "4" || len(r.Trailer) != 1 || got.Get("X-Up") != "1" || got.Get("Host") != "" {
			t.Errorf("down %v, up %v", r.Trailer, got)
		}
	}
	p.idles(t, 1)
}

// Request bodies of all kinds arrive whole, and what follows on the connection is
// the next request.
func TestRequestBodies(t *testing.T) {
	o := newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
		for {
			r, body := reads(br)
			if r == nil {
				return
			}
			says(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		}
	})
	p := newProxy(t, o, testTimeouts)
	c := p.dial(t)
	for _, n := range []int{0, 1, 1000, 16_000, 17_000, 100_000, 2_000_000} {
		body := strings.Repeat("0123456789", n/10+1)[:n]
		go func() {
			_, _ = io.WriteString(c.TCPConn, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", n, body))
		}()
		c.want(200, body)
		go func() {
			var b strings.Builder
			b.WriteString("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
			for rest := body; rest != ""; {
				k := min(len(rest), 7000)
				fmt.Fprintf(&b, "%x\r\n%s\r\n", k, rest[:k])
				rest = rest[k:]
			}
			b.WriteString("0\r\n\r\n")
			_, _ = io.WriteString(c.TCPConn, b.String())
		}()
		c.want(200, body)
	}
	if n := o.accepted.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A server answers while the body is still coming: the answer is passed on at
// once, and half a request never stays on a connection that is used again.
func TestEarlyAnswer(t *testing.T) {
	for _, end := range []script{lasts, nil} {
		var bodies []string
		o := newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
			r, err := http.ReadRequest(br)
			if err != nil || r.ContentLength != 1_000_000_000 {
				return
			}
			says(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
			if end != nil {
				end(c, br)
			}
		}, func(c *net.TCPConn, br *bufio.Reader) {
			for {
				r, body := reads(br)
				if r == nil {
					return
				}
				bodies = append(bodies, r.URL.Path+body)
				says(c, hello)
			}
		})
		p := newProxy(t, o, testTimeouts)
		c := p.dial(t).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
		go func() {
			junk := []byte(strings.Repeat(get, 1000))
			for {
				if _, err := c.Write(junk); err != nil {
					return
				}
			}
		}()
		c.want(413, "no")
		_ = c.Close()
		<-p.record
		if p.idle.Len() != 0 {
			t.Error("the connection was kept")
		}
		p.dial(t).send(post).want(200, "hello")
		if fmt.Sprint(bodies) != "[/xbody]" {
			t.Errorf("the next server saw %q", bodies)
		}
	}
}

// A body that comes while the answer goes: both flow.
func TestFullDuplex(t *testing.T) {
	p := newProxy(t, newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		says(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				says(c, fmt.Sprintf("%x\r\n%s\r\n", n, buf[:n]))
			}
			if err != nil {
				break
			}
		}
		says(c, "0\r\n\r\n")
		lasts(c, br)
	}), testTimeouts)
	c := p.dial(t).send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		word := fmt.Sprintf("word %02d", i)
		c.send(fmt.Sprintf("%x\r\n%s\r\n", len(word), word))
		got := make([]byte, len(word))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != word {
			t.Fatalf("%q %v", got, err)
		}
	}
	c.send("0\r\n\r\n")
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
	p.idles(t, 1)
}

// A request body that breaks off breaks the request off, with the client to
// blame; so does one that is no body.
func TestBrokenRequestBody(t *testing.T) {
	for _, tt := range []struct {
		raw    string
		close  bool
		status int
		flags  string
	}{
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", true, 400, "CD"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", true, 400, "CD"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxx", false, 400, "PR"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nno colon\r\n\r\n", false, 400, "PR"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", false, 408, "cD"},
	} {
		for _, apart := range []bool{false, true} {
			whole := make(chan bool, 1)
			p := newProxy(t, newOrigin(t, func(_ *net.TCPConn, br *bufio.Reader) {
				r, _ := reads(br)
				whole <- r != nil
			}), testTimeouts)
			if tt.status == 408 {
				p.stall = 50 * time.Millisecond
			}
			c := p.dial(t)
			if apart {
				i := strings.Index(tt.raw, "\r\n\r\n") + 4
				c.send(tt.raw[:i])
				time.Sleep(time.Millisecond)
				c.send(tt.raw[i:])
			} else {
				c.send(tt.raw)
			}
			if tt.close {
				_ = c.CloseWrite()
			}
			c.want(tt.status, "")
			if got := flags(p.fault.Load()); got != tt.flags {
				t.Errorf("%.80q: %s, want %s", tt.raw, got, tt.flags)
			}
			if <-whole {
				t.Errorf("%.80q: the server read a whole request", tt.raw)
			}
		}
	}
}

// A server that takes neither the request nor its time.
func TestServerDoesNotRead(t *testing.T) {
	p := newProxy(t, newOrigin(t, func(_ *net.TCPConn, br *bufio.Reader) {
		_, _ = br.ReadByte()
		time.Sleep(time.Second)
	}), timeoutsOf(50*time.Millisecond))
	c := p.dial(t).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
	go func() {
		junk := make([]byte, 1<<20)
		for {
			if _, err := c.Write(junk); err != nil {
				return
			}
		}
	}()
	c.want(504, "")
	if got := flags(p.fault.Load()); got != "sH begun" {
		t.Error(got)
	}
	_ = c.Close()
}

func TestExpect(t *testing.T) {
	var expected []string
	o := newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			expected = append(expected, r.Header.Get("Expect"))
			switch r.URL.Path {
			case "/refuse":
				says(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
				lasts(c, br)
				return
			case "/continue":
				says(c, "HTTP/1.1 100 Continue\r\n\r\n")
				time.Sleep(time.Millisecond)
				says(c, "HTTP/1.1 100 Continue\r\n\r\n") // a second one is nobody's
			}
			body, _ := io.ReadAll(r.Body)
			says(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		}
	})
	p := newProxy(t, o, testTimeouts)
	head := " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	c := p.dial(t)
	for range 2 {
		c.send("POST /continue"+head).want(100, "")
		c.send("body").want(200, "body")
	}
	// A server that does not know of Expect: the client hears it from us. And
	// that wait leaves no deadline behind.
	c.send("POST /ignore"+head).want(100, "")
	time.Sleep(expectLimit + 200*time.Millisecond)
	c.send("body").want(200, "body")
	p.idles(t, 1)
	// Told by the server, but then slow to send: the wait's deadline is gone.
	c.send("POST /continue"+head).want(100, "")
	time.Sleep(expectLimit + 200*time.Millisecond)
	c.send("body").want(200, "body")
	if r := c.send("POST /refuse"+head).want(417, ""); !r.Close {
		t.Error("the answer does not say that the connection ends")
	}
	<-p.record
	until(t, "the server's connection is closed", func() bool { return o.open.Load() == 0 })
	if got := fmt.Sprint(expected); got != "[100-continue 100-continue 100-continue 100-continue 100-continue]" {
		t.Errorf("forwarded: %s", got)
	}
}

func TestUpgrade(t *testing.T) {
	p := newProxy(t, newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		if r.Method == "CONNECT" {
			says(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly ")
		} else {
			says(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\n\r\nearly ")
		}
		_, _ = io.Copy(c, br)
		says(c, " bye")
	}), testTimeouts)
	for _, head := range []string{"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ws\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"} {
		c := p.dial(t).send(head + "first ")
		resp, err := http.ReadResponse(c.br, &http.Request{Method: "CONNECT"})
		if err != nil || resp.StatusCode != 101 && resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		c.send("second")
		_ = c.CloseWrite()
		if rest, err := io.ReadAll(c.br); err != nil || string(rest) != "early first second bye" {
			t.Errorf("%q %v", rest, err)
		}
	}
	if p.idle.Len() != 0 {
		t.Error("a tunnel's connection was kept")
	}
}
