package transport

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// shut is close as the other end hears of it, done when it returns, whoever reads: the
// stream's end is sent, and what comes behind that is answered by a reset.
func shut(t *testing.T, c *net.TCPConn) {
	rc, err := c.SyscallConn()
	if err == nil {
		_ = rc.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
	if err != nil {
		t.Error(err)
	}
}

// dropped is a server that ends each connection behind its first answer, when it
// is told to.
func dropped(t *testing.T, end func(*net.TCPConn)) (p *proxy, o *origin, drop func()) {
	conns := make(chan *net.TCPConn, 2000)
	o = newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
		r, _ := reads(br)
		if r == nil {
			return
		}
		conns <- c
		says(c, hello)
		for {
			if r, _ := reads(br); r == nil {
				return
			}
			says(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
		}
	})
	p = newProxy(t, o, testTimeouts)
	return p, o, func() {
		for {
			select {
			case c := <-conns:
				end(c)
			default:
				return
			}
		}
	}
}

// A stale connection fails nobody: not when its end has been heard of, not when
// the request and the end cross, which is when it ends behind the last look at it.
// 1,000 each, with the method that must not be repeated.
func TestStaleConnections(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*testing.T, *net.TCPConn)
	}{
		{"closed", func(_ *testing.T, c *net.TCPConn) { _ = c.Close() }},
		{"reset", func(_ *testing.T, c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }},
		{"half-closed", func(_ *testing.T, c *net.TCPConn) { _ = c.CloseWrite() }},
		{"crossing", shut},
		{"with a late answer", func(_ *testing.T, c *net.TCPConn) {
			says(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
		}},
	} {
		for _, raw := range []string{post, get} {
			t.Run(tt.name+" "+raw[:4], func(t *testing.T) {
				p, o, drop := dropped(t, func(c *net.TCPConn) { tt.end(t, c) })
				if tt.name == "crossing" {
					p.about, drop = drop, func() {}
				}
				c := p.dial(t)
				for i := range 1000 {
					c.send(raw).want(200, "hello") // "late" would be of a used one
					p.idles(t, 1)
					drop()
					if tt.name != "crossing" { // until the end has arrived
						until(t, "the end", func() bool { return !p.idle.peek().quiet() })
					}
					if f := p.fault.Load(); f != nil {
						t.Fatal(i, f)
					}
				}
				if n := o.accepted.Load(); n != 1000 {
					t.Errorf("%d connections for 1000 requests", n)
				}
			})
		}
	}
}

// peek gives the connection that is next without taking it.
func (i *Idle) peek() *conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.conns[len(i.conns)-1]
}

// A server that takes a request on a used connection and then closes may have
// begun to act on it: a GET is repeated, a POST is not.
func TestReusedThenClosed(t *testing.T) {
	for _, tt := range []struct {
		raw    string
		status int
		body   string
	}{
		{get, 200, "hello"}, {post, 502, ""},
		{strings.Replace(post, "POST", "PUT", 1), 502, ""},
	} {
		o := newOrigin(t, once(hello, func(_ *net.TCPConn, br *bufio.Reader) { reads(br) }), answers(hello))
		p := newProxy(t, o, testTimeouts)
		c := p.dial(t).send(get)
		c.want(200, "hello")
		p.idles(t, 1)
		c.send(tt.raw).want(tt.status, tt.body)
		if tt.status == 502 {
			if got := flags(p.fault.Load()); got != "SH begun" {
				t.Error(got)
			}
		}
	}
}

// Big bodies are not lost to a stale connection either, as long as nothing of
// them was taken from the client's buffer for good.
func TestStaleWithBody(t *testing.T) {
	p, _, drop := dropped(t, func(c *net.TCPConn) { shut(t, c) })
	p.about = drop
	c := p.dial(t)
	for _, raw := range []string{
		fmt.Sprintf("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n%09000d", 1),
		"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
	} {
		c.send(get).want(200, "hello")
		p.idles(t, 1)
		c.send(raw).want(200, "hello")
		p.idles(t, 1)
	}
}

// Nor is a body that has not come yet: what waited for it on the stale connection
// lets go of it, and the next connection gets it.
func TestStaleBeforeBody(t *testing.T) {
	p, o, drop := dropped(t, func(c *net.TCPConn) { shut(t, c) })
	p.about = drop
	c := p.dial(t)
	for range 20 {
		c.send(get).want(200, "hello")
		p.idles(t, 1)
		before := o.accepted.Load()
		c.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n")
		until(t, "the next connection", func() bool { return o.accepted.Load() > before })
		c.send(strings.Repeat("b", 10000)).want(200, "hello")
		p.idles(t, 1)
	}
}

// The connection that was used last is used next, and no more than max are kept.
func TestIdleOrderAndLimit(t *testing.T) {
	i := NewIdle(2)
	var conns []*conn
	for range 3 {
		a, b := pair(t)
		t.Cleanup(func() { _ = b.Close() })
		conns = append(conns, open(a, i, time.Minute))
	}
	if !i.put(conns[0]) || !i.put(conns[1]) || i.put(conns[2]) {
		t.Error("the limit does not hold")
	}
	if i.take(label{}) != conns[1] || i.take(label{}) != conns[0] || i.take(label{}) != nil || i.Len() != 0 {
		t.Error("not last in, first out")
	}
	_ = i.put(conns[0])
	i.Flush()
	if i.take(label{}) != nil || i.Len() != 0 {
		t.Error("flushed connections are still there")
	}
	if i.Close(); i.put(conns[1]) {
		t.Error("a closed set takes connections")
	}
	for _, c := range conns {
		_ = c.Close()
	}
}

// pair gives both ends of a connection.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// Connections that were idle for too long, and those that the server has closed,
// go; the others stay.
func TestReaper(t *testing.T) {
	a, b := pair(t)
	defer b.Close()
	gone, end := pair(t)
	_ = end.Close()
	synctest.Test(t, func(t *testing.T) {
		i := NewIdle(0)
		short, closed := open(a, i, 7*time.Second), open(gone, i, time.Hour)
		short.idleSince, closed.idleSince = flow.Now(), flow.Now()
		_ = i.put(short)
		_ = i.put(closed)
		time.Sleep(reapEvery + time.Millisecond)
		synctest.Wait()
		if i.Len() != 1 || i.peek() != short {
			t.Errorf("%d connections after one look, want the one that stands", i.Len())
		}
		time.Sleep(reapEvery)
		synctest.Wait()
		if i.Len() != 0 || i.reaper != nil {
			t.Errorf("%d connections after their time; reaper %v", i.Len(), i.reaper)
		}
	})
}

// Whatever happened to many exchanges side by side, nothing is left: no
// goroutine, no descriptor, and nobody got another's answer.
func TestStorm(t *testing.T) {
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)
	t.Run("storm", func(t *testing.T) {
		o := newOrigin(t, func(c *net.TCPConn, br *bufio.Reader) {
			for i := 0; ; i++ {
				r, body := reads(br)
				if r == nil {
					return
				}
				text := r.URL.Path + body
				switch len(text) % 7 {
				case 0:
					// Announced: a close that crosses a POST its kernel has taken
					// already is a 502, and rightly.
					says(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
					return
				case 1:
					says(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text)+1, text))
					return
				case 2:
					says(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(text), text))
				case 3:
					says(c, "HTTP/1.1 200 OK\r\n\r\n"+text)
					return
				case 4:
					if i > 0 {
						return
					}
					fallthrough
				default:
					says(c, "HTTP/1.1 102 Processing\r\n\r\n")
					says(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
				}
			}
		})
		p := newProxy(t, o, testTimeouts)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 100 {
					c := p.dial(t)
					path, body := fmt.Sprintf("/%d-%d", i, j), strings.Repeat("b", j*j)
					if j%3 == 0 {
						c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
						body = ""
					} else {
						c.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", path, len(body)))
						c.send(body)
					}
					r := c.answer("GET")
					for r.StatusCode < 200 {
						r = c.answer("GET")
					}
					whole := r.StatusCode == 200 && r.err == nil
					if whole && r.body != path+body || whole && len(path+body)%7 == 1 {
						t.Errorf("%s: %.60q", path, r.body)
					}
					if !whole && len(path+body)%7 != 1 && (body == "" || len(path+body)%7 != 4) {
						t.Errorf("%s: status %d, %v", path, r.StatusCode, r.err)
					}
					_ = c.Close()
				}
			})
		}
		wg.Wait()
	})
	until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	until(t, "no descriptor is left", func() bool { return descriptors(t) <= fds })
}

// exchanges gives a function that makes one exchange end to end.
func exchanges(t testing.TB, raw, answer string) (p *proxy, once func()) {
	o := newOrigin(t, func(c *net.TCPConn, _ *bufio.Reader) {
		in, out := make([]byte, 4096), []byte(answer)
		for {
			if _, err := c.Read(in); err != nil {
				return
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	})
	p = newProxy(t, o, testTimeouts)
	c := p.dial(t)
	out, in, size := []byte(raw), make([]byte, 4096), 0
	return p, func() {
		if _, err := c.Write(out); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(in)
		if size == 0 {
			size = n
		}
		if err != nil || n != size {
			t.Fatal(n, err)
		}
	}
}

// An exchange over keep-alive connections allocates nothing, on either side.
func TestAllocations(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector allocates")
	}
	for name, raw := range map[string]string{"GET": get, "POST": post} {
		p, once := exchanges(t, raw, hello)
		p.record = nil
		for range 200 {
			once()
		}
		if n := testing.AllocsPerRun(3000, once); n != 0 {
			t.Errorf("%s: %v allocations an exchange", name, n)
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	p, once := exchanges(b, get, hello)
	p.record = nil
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}
