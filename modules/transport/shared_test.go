package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Exchanges side by side share a connection, as many as the server takes at once,
// whatever graph they come from.
func TestSharedConnections(t *testing.T) {
	eachVersion(t, func(t *testing.T, start startFunc) {
		for _, limit := range []int{1, 3, 100} {
			t.Run(fmt.Sprint(limit), func(t *testing.T) {
				var conns, here atomic.Int32
				release := make(chan bool)
				g := start(t, limit, testTimeouts, func(p wirePeer, _ int) {
					conns.Add(1)
					var wg sync.WaitGroup
					defer wg.Wait()
					for c := p.ask(); c != nil; c = p.ask() {
						here.Add(1)
						wg.Go(func() {
							<-release
							c.answer(c.path())
						})
					}
				})
				c, url := g.client(t, true)
				const exchanges = 12
				var wg sync.WaitGroup
				for i := range exchanges {
					wg.Go(func() {
						path := fmt.Sprintf("/%d", i)
						if got := ask(c, "GET", url+path, ""); got != "200 "+path {
							t.Errorf("%s: %s", path, got)
						}
					})
				}
				until(t, "all requests", func() bool { return here.Load() == exchanges })
				close(release)
				wg.Wait()
				made := conns.Load()
				if limit == 100 && made != 1 || int(made)*limit < exchanges {
					t.Errorf("%d connections for %d exchanges", made, exchanges)
				}
				// A reload makes another transport of the same set.
				g.HTTP = New([]*upstream.Server{g.server}, func(Key) *Idle { return g.idle })
				if got := ask(c, "GET", url+"/again", ""); got != "200 /again" || limit == 100 && conns.Load() != made {
					t.Errorf("%s, %d connections, before %d", got, conns.Load(), made)
				}
			})
		}
	})
}

// What the server has not looked at is sent again, its body too, whatever the
// method; what it may have looked at is not, unless that does no harm.
func TestNotServed(t *testing.T) {
	eachVersion(t, func(t *testing.T, start startFunc) {
		for name, tt := range map[string]struct {
			refuse func(p wirePeer, c wireCall)
			method string
			want   string
			dials  int32
		}{
			"GOAWAY before it": {func(p wirePeer, c wireCall) { p.goAway(c, false) }, "POST", "200 ok body", 2},
			"refused":          {func(_ wirePeer, c wireCall) { c.refuse() }, "POST", "200 ok body", 1},
			"cancelled, POST":  {func(_ wirePeer, c wireCall) { c.cancel() }, "POST", "502 ", 1},
			"close, GET":       {func(p wirePeer, _ wireCall) { p.hangUp() }, "GET", "200 ok ", 2},
			"close, POST":      {func(p wirePeer, _ wireCall) { p.hangUp() }, "POST", "502 ", 1},
		} {
			t.Run(name, func(t *testing.T) {
				var dials, asked atomic.Int32
				g := start(t, 100, testTimeouts, func(p wirePeer, _ int) {
					dials.Add(1)
					for c := p.ask(); c != nil; c = p.ask() {
						switch {
						case c.path() == "/first":
							c.answer("first")
						case asked.Add(1) == 1:
							tt.refuse(p, c)
						default:
							c.answer("ok " + c.text())
						}
					}
				})
				g.tries = 2
				c, url := g.client(t, true)
				if got := ask(c, "GET", url+"/first", ""); got != "200 first" {
					t.Fatal(got)
				}
				body := ""
				if tt.method == "POST" {
					body = "body"
				}
				if got := ask(c, tt.method, url+"/x", body); got != tt.want {
					t.Errorf("%s, want %s (%v)", got, tt.want, g.fault.Load())
				}
				if n := dials.Load(); n != tt.dials {
					t.Errorf("%d connections, want %d", n, tt.dials)
				}
			})
		}
	})
}

// After GOAWAY, what goes on goes on, and what comes goes elsewhere.
func TestGoAwayKeepsStreams(t *testing.T) {
	eachVersion(t, func(t *testing.T, start startFunc) {
		release, said := make(chan bool), make(chan bool)
		g := start(t, 100, testTimeouts, func(p wirePeer, n int) {
			for c := p.ask(); c != nil; c = p.ask() {
				if n > 0 {
					c.answer("second")
					continue
				}
				p.goAway(c, true)
				close(said)
				<-release
				c.answer("first")
				p.waits() // the connection is closed by who has no use for it
				return
			}
		})
		c, url := g.client(t, true)
		first := make(chan string, 1)
		go func() { first <- ask(c, "GET", url, "") }()
		<-said
		until(t, "the goodbye", func() bool { return g.idle.Shared() == 0 })
		for range 3 {
			if got := ask(c, "POST", url, "body"); got != "200 second" {
				t.Error(got)
			}
		}
		close(release)
		if got := <-first; got != "200 first" {
			t.Error(got)
		}
		until(t, "one connection", func() bool { return g.idle.Shared() == 1 })
	})
}

// A client that leaves has its stream cut, with a reason; the connection goes on.
func TestSharedClientLeaves(t *testing.T) {
	eachVersion(t, func(t *testing.T, start startFunc) {
		asked, cut := make(chan bool, 1), make(chan bool, 1)
		g := start(t, 100, testTimeouts, func(p wirePeer, _ int) {
			for c := p.ask(); c != nil; c = p.ask() {
				if c.path() == "/" {
					c.answer("ok")
					continue
				}
				asked <- true
				cut <- c.left()
			}
		})
		c, url := g.client(t, true)
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "GET", url+"/wait", nil)
		go func() {
			<-asked
			cancel()
		}()
		resp, err := c.Do(r)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		select {
		case good := <-cut:
			if !good {
				t.Error("the server was told of something else")
			}
		case <-time.After(guardTime):
			t.Fatal("the server was not told")
		}
		if got := ask(c, "GET", url, ""); got != "200 ok" || g.idle.Shared() != 1 {
			t.Errorf("%s, %d connections", got, g.idle.Shared())
		}
	})
}

// Timeouts are the exchange's: the connection goes on for others.
func TestSharedNoAnswerInTime(t *testing.T) {
	eachVersion(t, func(t *testing.T, start startFunc) {
		cut := make(chan bool, 1)
		g := start(t, 100, timeoutsOf(100*time.Millisecond), func(p wirePeer, _ int) {
			cut <- p.ask().left()
			for c := p.ask(); c != nil; c = p.ask() {
				c.answer("ok")
			}
		})
		c, url := g.client(t, false)
		if got := ask(c, "GET", url, ""); got != "504 " {
			t.Error(got)
		}
		if !<-cut {
			t.Error("the server was told of something else")
		}
		g.server.Timeouts = testTimeouts
		if got := ask(c, "GET", url, ""); got != "200 ok" || g.idle.Shared() != 1 {
			t.Errorf("%s, %d connections", got, g.idle.Shared())
		}
	})
}

// Idle connections end after their time, and none of their goroutines stays.
func TestIdleShared(t *testing.T) {
	eachVersion(t, func(t *testing.T, start startFunc) {
		closed := make(chan bool, 1)
		timeouts := testTimeouts
		timeouts.Idle = 50 * time.Millisecond
		g := start(t, 100, timeouts, func(p wirePeer, _ int) {
			for c := p.ask(); c != nil; c = p.ask() {
				c.answer("ok")
			}
			closed <- true
		})
		c, url := g.client(t, false)
		first := 0
		for n := range 6 {
			if got := ask(c, "GET", url, ""); got != "200 ok" {
				t.Fatal(got)
			}
			<-closed
			until(t, "an empty set", func() bool { return g.idle.Shared() == 0 })
			if n == 0 {
				first = runtime.NumGoroutine()
			}
		}
		until(t, "the goroutines' end", func() bool { return runtime.NumGoroutine() <= first })
	})
}
