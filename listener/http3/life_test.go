package http3

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// A client that takes nothing holds the server's side back: what it has not made
// room for is not asked for.
func TestSlowClientHoldsBack(t *testing.T) {
	const piece, window = 16 << 10, 128 << 10
	wrote := make(chan int, 10_000)
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		if string(x.Req.Path) == "/small" {
			_ = x.Respond(200, "", []byte("small"))
			return
		}
		x.Resp.Status = 200
		_ = x.Start()
		for i := range 1000 {
			if _, err := x.Write(make([]byte, piece)); err != nil {
				return
			}
			wrote <- i
		}
		_ = x.Finish()
	}), testLimits)
	c := h.dialWith(t, &quic.Config{InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window})
	q := c.open(headers(get("/")...), true)
	for range window/piece - 2 {
		<-wrote
	}
	// Others are not held back, and while they go round nothing more of it is written.
	for range 20 {
		if g := c.ask(headers(get("/small")...)); g.body != "small" {
			t.Fatalf("%v", g)
		}
	}
	if n := len(wrote); n > 4 {
		t.Errorf("%d writes taken beyond what the client has room for", n)
	}
	q.CancelRead(0x10c)
}

// A client that cuts its stream wakes whoever waits for its body, or to send.
func TestClientResets(t *testing.T) {
	faults, began := make(chan error, 2), make(chan bool, 3)
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		began <- true
		if string(x.Req.Path) == "/up" {
			_, err := io.ReadAll(x.Req.Body)
			faults <- err
			return
		}
		x.Resp.Status = 200
		_ = x.Start()
		_, err := x.Write(make([]byte, 8<<20))
		if l, ok := x.Responder().(interface{ Left() bool }); !ok || !l.Left() {
			t.Error("nobody knows that the client has left")
		}
		faults <- err
		x.Abort(err)
	}), testLimits)
	c := h.dial(t)
	for _, path := range []string{"/up", "/down"} {
		q := c.open(headers(post(path)...), path == "/down")
		<-began
		if path == "/down" {
			if _, err := io.ReadFull(q, make([]byte, 64<<10)); err != nil {
				t.Fatal(err)
			}
		}
		q.CancelWrite(0x10c)
		q.CancelRead(0x10c)
		var fault *flow.Error
		if err := <-faults; !errors.As(err, &fault) || fault.Side != flow.SideClient {
			t.Errorf("%s: %v", path, err)
		}
	}
	if g := c.ask(headers(get("/up")...)); g.cut() != wire.CodeInternal || <-faults != nil {
		t.Errorf("what nobody answers: %v", g)
	}
}

type witness chan bool

func (w witness) ClientLeft() { w <- true }

// Who serves a stream is told that its client has left, cut the stream or the
// connection, and is not told what is our own doing.
func TestWitness(t *testing.T) {
	left, over := make(witness, 10), make(chan bool)
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		x.OnLeave(left)
		if string(x.Req.Path) != "/wait" {
			_ = x.Respond(200, "", []byte("whole"))
			return
		}
		over <- true
		<-over
		x.OnLeave(nil)
	}), testLimits)
	c := h.dial(t)
	for range 100 {
		if g := c.ask(headers(get("/")...)); g.body != "whole" {
			t.Fatalf("%v", g)
		}
	}
	c.open(headers(get("/wait")...), true).CancelRead(0x10c)
	<-over
	<-left
	over <- true
	c.open(headers(get("/wait")...), true)
	<-over
	_ = c.CloseWithError(0x100, "")
	<-left
	over <- true
	if len(left) > 0 {
		t.Error("told of a client that has not left")
	}
}

// A drain says goodbye twice, lets what is served end, and closes.
func TestDrain(t *testing.T) {
	release, began := make(chan bool), make(chan bool, 1)
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		began <- true
		<-release
		_ = x.Respond(200, "", []byte("whole"))
	}), testLimits)
	c := h.dial(t)
	u, err := c.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q := c.open(headers(get("/")...), true)
	<-began
	b := *h.source.Load()
	b.Draining = true
	h.source.Store(&b)
	said := make([]byte, 3+7) // type and SETTINGS
	if _, err := io.ReadFull(u, said); err != nil {
		t.Fatal(err)
	}
	for _, id := range []uint64{wire.MaxVarint - 3, 4} {
		want := wire.AppendGoAway(nil, id)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(u, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%x, %v; want a GOAWAY of %d", got, err, id)
		}
	}
	if g := c.ask(headers(get("/late")...)); g.cut() != wire.CodeRejected {
		t.Errorf("behind the goodbye: %v", g)
	}
	close(release)
	if g := collect(t, q); g.body != "whole" || g.err != nil {
		t.Errorf("%v", g)
	}
	c.wantClosed(wire.CodeNone)
}

// A drain that finds the connection idle has it say goodbye instead of cutting it.
func TestDrainOfIdle(t *testing.T) {
	h := serve(t, paths, testLimits)
	c := h.dial(t)
	if g := c.ask(headers(get("/")...)); g.body != "/" {
		t.Fatalf("%v", g)
	}
	h.mu.Lock()
	fc := h.conns[0]
	h.mu.Unlock()
	for range 3 {
		if fc.CloseIfIdle() {
			t.Error("it was cut")
		}
	}
	c.wantClosed(wire.CodeNone)
}

// Whoever sends half a head, or nothing, is let go in time; so is a stream whose
// body stands still, and one that takes nothing.
func TestTimeouts(t *testing.T) {
	limits := flow.Limits{HeadBytes: 32 << 10, Fields: 100, Header: 200 * time.Millisecond, Idle: 400 * time.Millisecond, Stall: 300 * time.Millisecond}
	faults := make(chan error, 2)
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		var err error
		if string(x.Req.Path) == "/down" {
			x.Resp.Status = 200
			_ = x.Start()
			_, err = x.Write(make([]byte, 16<<20))
			x.Abort(err)
		} else {
			_, err = io.ReadAll(x.Req.Body)
			_ = x.Respond(408, "", nil)
		}
		faults <- err
	}), limits)
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		h.dial(t).wantClosed(wire.CodeNone)
	})
	for name, send := range map[string]string{
		"half a head": headers(get("/")...)[:9], "half a frame": "\x01", "half a body": headers(post("/")...) + "\x00\x05123",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := h.dial(t).open(send, false)
			if g := collect(t, q); strings.Join(g.status, "") != "408" {
				t.Errorf("%v", g)
			}
		})
	}
	t.Run("slow reader", func(t *testing.T) {
		t.Parallel()
		q := h.dial(t).open(headers(get("/down")...), true)
		for range 2 { // this one, and the half body
			var fault *flow.Error
			if err := <-faults; !errors.As(err, &fault) || !fault.Timeout || fault.Side != flow.SideClient {
				t.Errorf("%v", err)
			}
		}
		if g := collect(t, q); g.cut() != wire.CodeInternal {
			t.Errorf("%v", g.err)
		}
	})
}

// Extended CONNECT (RFC 9220) is a GET with an Upgrade for whoever serves it; a
// 101 becomes a 200, and then both sides are streams.
func TestWebSocket(t *testing.T) {
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		if x.Req.Method != "GET" || string(x.Req.Upgrade) != "websocket" || len(x.Req.Header.Get("Sec-WebSocket-Key")) != 24 || x.Req.HasBody() {
			_ = x.Respond(500, "", nil)
			return
		}
		if x.Resp.Status = 200; string(x.Req.Path) != "/plain" {
			s, _ := x.Responder().(*stream)
			accept := s.head.Accept()
			if string(x.Req.Path) == "/wrong" {
				accept = make([]byte, 28)
			}
			x.Resp.Status = 101
			x.Resp.Header.AddBytes([]byte("Sec-WebSocket-Accept"), accept)
			x.Resp.Upgrade = x.Req.Upgrade
		}
		if err := x.Start(); err != nil {
			x.Abort(err)
			return
		}
		x.OpenTunnel(func(client flow.Stream, _ []byte) {
			_, _ = io.Copy(client, client)
			_ = client.CloseWrite()
		})
	}), testLimits)
	ws := func(path string) string {
		return headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", path, "sec-websocket-version", "13")
	}
	c := h.dial(t)
	q := c.open(ws("/"), false)
	long := strings.Repeat("long ", 20_000)
	go func() {
		for _, s := range []string{"hello ", "world ", long} {
			_, _ = q.Write([]byte(data(s)))
		}
		_ = q.Close()
	}()
	g := collect(t, q)
	if strings.Join(g.status, "") != "200" || g.body != "hello world "+long || g.header["sec-websocket-accept"] != "" || g.err != nil {
		t.Errorf("%v", g)
	}
	for _, path := range []string{"/plain", "/wrong"} {
		if g := collect(t, c.open(ws(path), false)); strings.Join(g.status, "") != "502" || g.err != nil {
			t.Errorf("%s: %v", path, g)
		}
	}
}

// A reload is noticed at the next exchange, on the same connection.
func TestReload(t *testing.T) {
	h := serve(t, paths, testLimits)
	c := h.dial(t)
	for range 3 {
		b := *h.source.Load()
		old, next := b.Generation, flow.NewGeneration(b.Generation.Number+1)
		b.Generation = next
		b.Server = flowtest.Func(func(x *flow.Exchange) { _ = x.Respond(200, "", []byte{byte('0' + next.Number)}) })
		h.source.Store(&b)
		old.Release()
		if g := c.ask(headers(get("/")...)); g.body != string(rune('0'+next.Number)) {
			t.Errorf("%v", g)
		}
		select {
		case <-old.Done():
		case <-time.After(guardTime):
			t.Fatal("an idle connection holds what it does not use")
		}
	}
}

// What a server cuts its stream with arrives as the code that HTTP/3 has for it.
func TestResetIsPassedOn(t *testing.T) {
	want := map[string]wire.Code{
		"/0": wire.CodeNone, "/1": wire.CodeInternal, "/7": wire.CodeRejected, "/8": wire.CodeCancelled, "/b": wire.CodeLoad, "/c": wire.CodeInternal,
	}
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		n, err := strconv.ParseUint(string(x.Req.Path[1:]), 16, 32)
		if err != nil {
			t.Error(err)
		}
		x.Resp.Status = 200
		_ = x.Start()
		x.Abort(&flow.Error{Side: flow.SideServer, Err: &flow.Reset{Code: uint32(n)}})
	}), testLimits)
	c := h.dial(t)
	for path, code := range want {
		if g := c.ask(headers(get(path)...)); g.cut() != code {
			t.Errorf("%s: %#x, want %#x", path, g.cut(), code)
		}
	}
}
