package http1

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// A keep-alive connection meets a new configuration at its next exchange, and
// lets go of the old one then.
func TestGenerations(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		answer := func(body string) flow.Server {
			return flowtest.Func(func(x *flow.Exchange) { _ = x.Respond(200, "", []byte(body)) })
		}
		first := binding(answer("first"), testLimits)
		h := serve(t, plain, first)
		c := h.dial(t)
		c.send(req("/")).want(200, "first")
		second := binding(answer("second"), testLimits)
		h.source.Store(second)
		first.Generation.Release()
		c.send(req("/")+req("/")).want(200, "second")
		c.want(200, "second")
		select {
		case <-first.Generation.Done():
		case <-time.After(guardTime):
			t.Error("the old generation is still held")
		}
		// Draining: the exchange is answered, the connection ends.
		drained := binding(answer("third"), testLimits)
		drained.Draining = true
		h.source.Store(drained)
		if r := c.send(req("/")).want(200, "third"); !r.Close {
			t.Error("the answer does not say that the connection ends")
		}
		c.ends()
		<-h.served
		if n := second.Generation.Holders() + drained.Generation.Holders(); n != 2 {
			t.Errorf("%d holders of the generations, want their makers", n)
		}
	})
}

// A connection that was parked goes on, as often as it is, also when it is given
// half a request, and its end is seen.
func TestParked(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		h := serve(t, plain, binding(paths, testLimits))
		c := h.dial(t)
		for range 3 {
			c.stays()
			time.Sleep(time.Duration(5 * peek)) // long enough to be parked
		}
		c.send("GET /par")
		time.Sleep(time.Duration(5 * peek))
		c.send("ked HTTP/1.1\r\nHost: a\r\n\r\n").want(200, "/parked")
		time.Sleep(time.Duration(5 * peek))
		_ = c.CloseWrite()
		c.ends()
		<-h.served
		if n := h.source.Load().Generation.Holders(); n != 1 {
			t.Errorf("%d holders of the generation, want its maker", n)
		}
	})
}

// ends collects what is logged, as a logger would: at the end, and at once.
type ends struct {
	mu   sync.Mutex
	uris []string
	in   int64
}

func (e *ends) EndExchange(x *flow.Exchange) {
	e.mu.Lock()
	e.uris = append(e.uris, string(x.Record.URI))
	e.in += x.Record.BytesIn
	e.mu.Unlock()
}

// What is logged is what was asked, though the next request lies behind the body;
// and every byte that came is counted once.
func TestRecordBeforeNextRequest(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		var log ends
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			x.OnEnd(&log)
			paths(x)
		}), testLimits))
		c := h.dial(t)
		head := "POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		rest := "1\r\nb\r\n0\r\n\r\n" + req("/second") + req("/third", "Connection: close")
		c.send(head)
		time.Sleep(time.Millisecond) // so that the body is read by itself
		c.send(rest)
		c.want(200, "/firstb")
		c.want(200, "/second")
		c.want(200, "/third")
		c.ends()
		<-h.served
		if got := fmt.Sprint(log.uris); got != "[/first /second /third]" || log.in != int64(len(head+rest)) {
			t.Errorf("logged %s, %d bytes in of %d", got, log.in, len(head+rest))
		}
	})
}

// Closing a body wakes whoever reads it, at whatever moment it comes.
func TestBodyCloseWakesReader(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			read := make(chan error)
			go func() {
				_, err := x.Req.Body.Next()
				read <- err
			}()
			for range rand.IntN(50) {
				runtime.Gosched()
			}
			_ = x.Req.Body.Close()
			if err := <-read; err == nil {
				panic("a body that never came was read")
			}
			_ = x.Respond(200, "", nil)
		}), testLimits))
		for range 300 {
			c := h.dial(t)
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").want(200, "")
			_ = c.Close()
		}
	})
}

// After a body was closed unread the connection goes on as if nothing had been.
func TestClosedBodyThenNext(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			_ = x.Req.Body.Close()
			_ = x.Respond(200, "", x.Req.Path)
		}), testLimits))
		c := h.dial(t)
		for _, first := range []string{"", "x", "xxxxx", "xxxxxxxxxx"} {
			c.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"+first).want(200, "/a")
			c.send("xxxxxxxxxx"[len(first):] + "GET /b HTT")
			c.send("P/1.1\r\nHost: a\r\n\r\n").want(200, "/b")
		}
	})
}

// Tunnels: what came behind the request is the stream's first; both directions
// end by themselves; nothing of it is taken for a request.
func TestTunnel(t *testing.T) {
	modes(t, func(t *testing.T, plain bool) {
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			if x.Req.Method == "GET" && len(x.Req.Upgrade) == 0 {
				paths(x)
				return
			}
			x.Resp.Status, x.Resp.Upgrade = 101, x.Req.Upgrade
			if x.Req.Method == "CONNECT" {
				x.Resp.Status = 200
			}
			if x.Start() != nil {
				return
			}
			x.OpenTunnel(func(s flow.Stream, early []byte) {
				_, _ = s.Write(early)
				_, _ = io.Copy(s, s)
				_, _ = s.Write([]byte(" bye"))
				_ = s.CloseWrite()
			})
		}), testLimits))
		for _, tt := range []struct{ head, answer string }{
			{req("/", "Connection: upgrade", "Upgrade: echo"), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"},
			{"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"},
		} {
			c := h.dial(t)
			c.stays()
			c.send(tt.head + req("/smuggled"))
			want := tt.answer + req("/smuggled")
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c.br, got); err != nil || string(got) != want {
				t.Fatalf("%q %v, want %q", got, err, want)
			}
			c.send("more")
			_ = c.CloseWrite()
			if rest, err := io.ReadAll(c.br); err != nil || string(rest) != "more bye" {
				t.Errorf("%q %v", rest, err)
			}
		}
	})
}

// Many connections, cut at random places: nobody sees another's bytes, and
// nothing is left behind.
func TestStorm(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("storm", func(t *testing.T) {
		modes(t, func(t *testing.T, plain bool) {
			h := serve(t, plain, binding(paths, testLimits))
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(i), 1))
					c := h.dial(t)
					var all, want strings.Builder
					var bodies []string
					for j := range 60 {
						path := fmt.Sprintf("/%d/%d", i, j)
						body := strings.Repeat(path, rnd.IntN(300))
						if rnd.IntN(2) == 0 || body == "" {
							fmt.Fprintf(&all, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
						} else {
							k := rnd.IntN(len(body))
							fmt.Fprintf(&all, "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", path)
							for _, piece := range []string{body[:k], body[k:]} {
								if piece != "" {
									fmt.Fprintf(&all, "%x\r\n%s\r\n", len(piece), piece)
								}
							}
							all.WriteString("0\r\n\r\n")
						}
						want.WriteString(path)
						bodies = append(bodies, path+body)
					}
					go func() {
						for raw := all.String(); raw != ""; {
							n := min(len(raw), 1+rnd.IntN(2000))
							if _, err := io.WriteString(c.TCPConn, raw[:n]); err != nil {
								return
							}
							raw = raw[n:]
							if rnd.IntN(10) == 0 {
								time.Sleep(100 * time.Microsecond)
							}
						}
					}()
					for _, b := range bodies {
						r := c.answer("GET")
						if r.body != b || r.err != nil {
							t.Errorf("%.40q, %v; want %.40q", r.body, r.err, b)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	})
	settled(t, before)
}

// A keep-alive exchange allocates nothing.
func TestAllocations(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector allocates")
	}
	body := []byte("hello")
	modes(t, func(t *testing.T, plain bool) {
		h := serve(t, plain, binding(flowtest.Func(func(x *flow.Exchange) {
			_ = x.Respond(200, "text/plain", body)
		}), testLimits))
		c := h.dial(t)
		for name, raw := range map[string]string{
			"GET":  req("/path", "Accept: */*", "Cookie: a=b"),
			"POST": "POST /path HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		} {
			out, in := []byte(raw), make([]byte, 4096)
			size := 0
			once := func() {
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
			for range 100 {
				once()
			}
			if n := testing.AllocsPerRun(2000, once); n != 0 {
				t.Errorf("%s: %v allocations an exchange", name, n)
			}
		}
	})
}

func BenchmarkExchange(b *testing.B) {
	body := []byte("hello")
	h := serve(b, true, binding(flowtest.Func(func(x *flow.Exchange) {
		_ = x.Respond(200, "text/plain", body)
	}), testLimits))
	c := h.dial(b)
	out, in := []byte(req("/path", "Accept: */*")), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(in); err != nil {
			b.Fatal(err)
		}
	}
}
