package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

func listenUDP(t testing.TB) *net.UDPConn {
	t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	return pc
}

// A client that moves to another socket is served on, and known by its new
// address.
func TestMigration(t *testing.T) {
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		_ = x.Respond(200, "", []byte(x.Record.Client.String()))
	}), testLimits)
	first := &quic.Transport{Conn: listenUDP(t)}
	second := &quic.Transport{Conn: listenUDP(t)}
	t.Cleanup(func() { _ = first.Close(); _ = second.Close() })
	to, err := net.ResolveUDPAddr("udp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	q, err := first.Dial(t.Context(), to, clientTLS, &quic.Config{HandshakeIdleTimeout: guardTime})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.CloseWithError(0, "") })
	c := &raw{Conn: q, t: t}
	c.control = c.uni(0, frame(4, ""))
	if g := c.ask(headers(get("/")...)); g.body != first.Conn.LocalAddr().String() {
		t.Fatalf("%v", g)
	}
	path, err := q.AddPath(second)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), guardTime)
	defer cancel()
	if err := path.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	if err := path.Switch(); err != nil {
		t.Fatal(err)
	}
	// The server follows with the first packet from there.
	for until := time.Now().Add(guardTime); ; {
		g := c.ask(headers(get("/")...))
		if g.body == second.Conn.LocalAddr().String() {
			return
		}
		if g.err != nil || time.Now().After(until) {
			t.Fatalf("%v, want %v", g, second.Conn.LocalAddr())
		}
	}
}

// tickets notes when a session can be resumed.
type tickets struct {
	tls.ClientSessionCache
	once sync.Once
	put  chan bool
}

func (c *tickets) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if s != nil {
		c.once.Do(func() { close(c.put) })
	}
}

// What comes in early data is told apart, and comes only where it is allowed.
func TestEarlyData(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		h := serveBound(t, binding(flowtest.Func(func(x *flow.Exchange) {
			answer := "late"
			if x.Req.Early {
				answer = "early"
			}
			_ = x.Respond(200, "", []byte(answer))
		}), testLimits, allowed))
		cache := &tickets{ClientSessionCache: tls.NewLRUClientSessionCache(4), put: make(chan bool)}
		conf := clientTLS.Clone()
		conf.ClientSessionCache = cache
		early := false
		for range 10 { // the handshake may be faster than the request
			q, err := quic.DialAddrEarly(t.Context(), h.addr, conf, &quic.Config{HandshakeIdleTimeout: guardTime})
			if err != nil {
				t.Fatal(err)
			}
			c := &raw{Conn: q, t: t}
			s := c.open(headers(get("/")...), true)
			c.control = c.uni(0, frame(4, ""))
			g := collect(t, s)
			<-cache.put
			early = early || g.body == "early"
			if used := q.ConnectionState().Used0RTT; used && !allowed || g.body == "early" && !used {
				t.Errorf("allowed %t, used %t: %v", allowed, used, g)
			}
			_ = q.CloseWithError(0x100, "")
			if early {
				break
			}
		}
		if early != allowed {
			t.Errorf("allowed %t, early %t", allowed, early)
		}
	}
}

// Garbage costs a look at it: no answer longer than what came, no connection, and
// nobody else notices.
func TestGarbage(t *testing.T) {
	h := serve(t, paths, testLimits)
	c := h.dial(t)
	nc, err := net.Dial("udp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	long := make([]byte, 1200)
	long[0], long[5], long[14] = 0xc0, 8, 8
	version0 := append([]byte{0xc0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 1, 2, 3, 4, 5, 6, 7, 8}, make([]byte, 1177)...)
	unknown := append([]byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 1, 2, 3, 4, 5, 6, 7, 8}, make([]byte, 1177)...)
	sent := 0
	for i := range 2000 {
		for _, p := range [][]byte{{}, {0}, []byte("GET / HTTP/1.1\r\n\r\n"), long, version0, unknown[:100], make([]byte, 21+i%40)} {
			n, _ := nc.Write(p)
			sent += n
		}
	}
	if g := c.ask(headers(get("/ok")...)); g.body != "/ok" {
		t.Errorf("%v", g)
	}
	// The version that there is none of gets those that there are.
	buf := make([]byte, 2000)
	for got, until := 0, time.Now().Add(guardTime); ; {
		n, _ := nc.Write(unknown) // one may be lost among so much else
		sent += n
		_ = nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := nc.Read(buf)
		if err != nil && time.Now().After(until) {
			t.Fatal(err)
		}
		if got += n; got > 3*sent {
			t.Fatalf("%d bytes to %d", got, sent)
		}
		if n > 7 && string(buf[1:5]) == "\x00\x00\x00\x00" {
			break
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.conns); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// With many handshakes in progress a client has to show that its address is its
// own (Retry), and is served then.
func TestAddressValidation(t *testing.T) {
	h := serve(t, paths, testLimits)
	e, ok := h.end.(*Endpoint)
	if !ok {
		t.Fatal("no endpoint")
	}
	if e.tr.VerifySourceAddress(nil) {
		t.Error("without need")
	}
	e.shaking.Add(shakingLimit)
	if !e.tr.VerifySourceAddress(nil) {
		t.Error("not under load")
	}
	if g := h.dial(t).ask(headers(get("/ok")...)); g.body != "/ok" {
		t.Errorf("%v", g)
	}
	e.shaking.Add(-shakingLimit)
	for until := time.Now().Add(guardTime); e.shaking.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d handshakes are never over", e.shaking.Load())
		}
	}
}

// A server that has lost its connections tells a client at once, if it has kept
// its secret (RFC 9000 §10.3).
func TestStatelessReset(t *testing.T) {
	b := binding(paths, testLimits, false)
	b.Packets.Secret = [64]byte{1, 2, 3}
	first := listenUDP(t)
	addr := first.LocalAddr()
	var source flow.Source
	source.Store(b)
	e := Server{}.Endpoint(first, &b.Packets.Secret)
	l, err := e.Listen(&source)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		Server{}.ServeConn(&flow.Conn{Conn: nc, Accepted: time.Now(), Source: &source})
	}()
	relay := newRelay(t, addr)
	q, err := quic.DialAddr(t.Context(), relay.addr(), clientTLS, &quic.Config{HandshakeIdleTimeout: guardTime, MaxIdleTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	c := &raw{Conn: q, t: t}
	c.control = c.uni(0, frame(4, ""))
	if g := c.ask(headers(get("/")...)); g.body != "/" {
		t.Fatalf("%v", g)
	}
	relay.deaf.Store(true) // it goes without a word
	_ = l.Close()
	_ = e.Close()
	<-done
	again, err := net.ListenUDP("udp", addr.(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	e = Server{}.Endpoint(again, &b.Packets.Secret)
	if l, err = e.Listen(&source); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close(); _ = e.Close() }()
	relay.deaf.Store(false)
	_, _ = c.control.Write([]byte(frame(0x21, strings.Repeat("x", 100))))
	select {
	case <-q.Context().Done():
	case <-time.After(guardTime):
		t.Fatal("the client still waits")
	}
	var reset *quic.StatelessResetError
	if err := context.Cause(q.Context()); !errors.As(err, &reset) {
		t.Errorf("%v", err)
	}
}
