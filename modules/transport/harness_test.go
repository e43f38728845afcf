package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/http1"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// guardTime is when a test that waits for what must come gives up.
const guardTime = 20 * time.Second

// script is what a fake server does with one connection; it is closed after it.
type script func(c *net.TCPConn, br *bufio.Reader)

// origin is a fake server. Connections follow the scripts in turn, and the last
// one from then on.
type origin struct {
	net.Listener
	accepted atomic.Int64
	open     atomic.Int64
	wg       sync.WaitGroup
}

func newOrigin(t testing.TB, scripts ...script) *origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{Listener: l}
	o.wg.Go(func() {
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			o.accepted.Add(1)
			o.open.Add(1)
			s := scripts[min(i, len(scripts)-1)]
			o.wg.Go(func() {
				defer o.open.Add(-1)
				defer c.Close()
				s(c.(*net.TCPConn), bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		o.wg.Wait()
	})
	return o
}

func says(c net.Conn, s string) { _, _ = io.WriteString(c, s) }

// reads reads one request, nil at the connection's end.
func reads(br *bufio.Reader) (*http.Request, string) {
	r, err := http.ReadRequest(br)
	if err != nil {
		return nil, ""
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, ""
	}
	return r, string(body)
}

// answers serves every request with the same bytes.
func answers(s string) script {
	return func(c *net.TCPConn, br *bufio.Reader) {
		for {
			if r, _ := reads(br); r == nil {
				return
			}
			says(c, s)
		}
	}
}

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// once answers one request and does what then says.
func once(s string, then script) script {
	return func(c *net.TCPConn, br *bufio.Reader) {
		if r, _ := reads(br); r == nil {
			return
		}
		says(c, s)
		if then != nil {
			then(c, br)
		}
	}
}

// lasts keeps the connection until the other end closes it.
func lasts(_ *net.TCPConn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) }

func resets(c *net.TCPConn, _ *bufio.Reader) { _ = c.SetLinger(0) }

var testTimeouts = upstream.Timeouts{
	Connect: guardTime, FirstByte: guardTime, Idle: time.Minute, Stall: guardTime, Tunnel: guardTime,
}

// proxy is the least that a codec and a transport need between them.
type proxy struct {
	*HTTP1
	server *upstream.Server
	idle   *Idle
	addr   string
	wg     sync.WaitGroup
	fault  atomic.Pointer[flow.Error] // the last one
	record chan flow.Record
	stall  time.Duration // the client side's; 0: the connection's
	via    Transport     // instead of HTTP1, if there is one
	about  func()        // what happens between the choice of a connection and the first write
}

func timeoutsOf(stall time.Duration) upstream.Timeouts {
	t := testTimeouts
	t.Stall, t.FirstByte = stall, stall
	return t
}

func newProxy(t testing.TB, o net.Listener, timeouts upstream.Timeouts) *proxy {
	t.Helper()
	p := &proxy{
		server: &upstream.Server{Network: "tcp", Dial: o.Addr().String(), Timeouts: timeouts, Live: upstream.NewLive()},
		idle:   NewIdle(0), record: make(chan flow.Record, 10000),
	}
	p.HTTP1 = NewHTTP1([]*upstream.Server{p.server}, func(Key) *Idle { return p.idle })
	t.Cleanup(p.idle.Close)
	p.listen(t)
	return p
}

func (p *proxy) listen(t testing.TB) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l.Addr().String()
	var source flow.Source
	var conns atomic.Uint64
	limits := flow.DefaultLimits
	source.Store(&flow.Binding{Server: p, Generation: flow.NewGeneration(1), Limits: limits})
	p.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() {
				defer nc.Close()
				c := &flow.Conn{Conn: nc, Socket: nc.(*net.TCPConn), Accepted: time.Now(), Source: &source, ID: conns.Add(1), Ended: new(atomic.Bool)}
				c.Client = nc.RemoteAddr().(*net.TCPAddr).AddrPort()
				c.Local = nc.LocalAddr().(*net.TCPAddr).AddrPort()
				http1.Server{}.ServeConn(c)
				c.Ended.Store(true)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.wg.Wait()
	})
}

// EndExchange notes the record.
func (p *proxy) EndExchange(x *flow.Exchange) {
	r := x.Record
	select {
	case p.record <- r:
	default:
	}
}

// ServeExchange passes the exchange on, as the proxy handler does.
func (p *proxy) ServeExchange(x *flow.Exchange) {
	if x.Fault != nil {
		_ = x.Respond(x.Fault.StatusCode(), "", nil)
		return
	}
	x.OnEnd(p)
	x.Stall = p.stall
	var via Transport = p.HTTP1
	if p.via != nil {
		via = p.via
	}
	if p.about != nil {
		x.Flight = aboutTo(p.about)
	}
	fault := via.RoundTrip(x, p.server)
	p.fault.Store(fault)
	if fault != nil {
		x.Record.Err = fault
		_ = x.Respond(fault.StatusCode(), "", nil)
		return
	}
	body := x.Resp.Body
	if x.Start() == nil && (x.Resp.Status == 101 || x.Req.Method == "CONNECT") {
		server, early := body.(interface {
			Upgraded() (flow.Stream, []byte)
		}).Upgraded()
		x.OpenTunnel(func(client flow.Stream, first []byte) { join(client, server, first, early) })
		return
	}
	err := relay(x, body)
	x.Record.Err = err
	if err != nil {
		x.Abort(err)
	}
	_ = body.Close()
}

// aboutTo is told of a connection that was chosen, before anything is written.
type aboutTo func()

func (f aboutTo) Carry(by io.Closer) {
	if by != nil {
		f()
	}
}

func join(client, server flow.Stream, first, early []byte) {
	done := make(chan bool)
	go func() {
		defer close(done)
		_, _ = server.Write(first)
		_, _ = io.Copy(server, client)
		_ = server.CloseWrite()
	}()
	_, _ = client.Write(early)
	_, _ = io.Copy(client, server)
	_ = client.CloseWrite()
	<-done
	_ = server.Close()
}

// bulk is the size from which the proxy splices.
const bulk = 128 << 10

func relay(x *flow.Exchange, b flow.Body) error {
	body := b.(*body)
	for {
		if !body.Ready() {
			if err := x.Flush(); err != nil {
				return err
			}
			if src, n := body.Socket(); src != nil && n >= bulk {
				m, err := x.Relay(src, n)
				if body.Moved(m); err != nil {
					return err
				}
			}
		}
		p, err := body.Next()
		if len(p) > 0 {
			if _, err := x.Write(p); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if tr := body.Trailer(); tr != nil {
		x.Resp.Trailer.CopyFrom(tr)
	}
	return x.Finish()
}

// client is a raw client of the proxy.
type client struct {
	*net.TCPConn
	t  testing.TB
	br *bufio.Reader
}

func (p *proxy) dial(t testing.TB) *client {
	t.Helper()
	nc, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(guardTime))
	t.Cleanup(func() { _ = nc.Close() })
	return &client{nc.(*net.TCPConn), t, bufio.NewReader(nc)}
}

func (c *client) send(s string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, s); err != nil {
		c.t.Fatal(err)
	}
	return c
}

type reply struct {
	*http.Response
	body string
	err  error
}

func (c *client) answer(method string) *reply {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	return &reply{resp, string(body), err}
}

func (c *client) want(status int, body string) *reply {
	c.t.Helper()
	r := c.answer("GET")
	if r.StatusCode != status || r.body != body || r.err != nil {
		c.t.Fatalf("status %d, %.60q, %v; want %d, %.60q", r.StatusCode, r.body, r.err, status, body)
	}
	return r
}

const (
	get  = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
	post = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
)

// until waits for a condition that must come true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(guardTime); !ok(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("not within %v: %s\n%s", guardTime, what, buf[:runtime.Stack(buf, true)])
		}
	}
}

func (p *proxy) idles(t testing.TB, n int) {
	t.Helper()
	until(t, fmt.Sprint(n, " idle connections"), func() bool { return p.idle.Len() == n })
}

// flags gives a fault as logs do, with its cause.
func flags(e *flow.Error) string {
	if e == nil {
		return "none"
	}
	cause, phase := e.Flags()
	s := string([]byte{cause, phase})
	if e.Begun {
		s += " begun"
	}
	if e.Stale {
		s += " stale"
	}
	return s
}

// descriptors counts the open ones of this process.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no /proc here")
	}
	return len(list)
}
