package http2

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// The body must be as long as it was said to be, however the stream ends.
func TestContentLength(t *testing.T) {
	h := serve(t, false, paths, testLimits)
	for name, send := range map[string]func(c *raw){
		"short":         func(c *raw) { _ = c.WriteData(1, true, []byte("1234")) },
		"long":          func(c *raw) { _ = c.WriteData(1, true, []byte("123456")) },
		"long, no end":  func(c *raw) { _ = c.WriteData(1, false, []byte("123456")) },
		"empty frame":   func(c *raw) { _ = c.WriteData(1, false, []byte("123")); _ = c.WriteData(1, true, nil) },
		"trailers":      func(c *raw) { _ = c.WriteData(1, false, []byte("123")); c.open(1, true, "x-sum", "1") },
		"only trailers": func(c *raw) { c.open(1, true, "x-sum", "1") },
	} {
		t.Run(name, func(t *testing.T) {
			c := h.dialRaw(t)
			c.open(1, false, post("/", "content-length", "5")...)
			send(c)
			g := c.collect(1)
			if refused := len(g.status) == 1 && g.status[0] == "400"; !refused && !(g.cut && g.reset == http2.ErrCodeProtocol) {
				t.Errorf("%+v", g)
			}
		})
	}
	c := h.dialRaw(t)
	c.open(1, false, post("/", "content-length", "5")...)
	_ = c.WriteDataPadded(1, false, []byte("12"), make([]byte, 9))
	_ = c.WriteData(1, false, []byte("345"))
	c.open(1, true, "x-sum", "1")
	if g := c.collect(1); g.body != "/12345" {
		t.Errorf("%+v", g)
	}
}

// A client that takes nothing holds the server's side back: what it has not
// made room for is not asked for.
func TestSlowClientHoldsBack(t *testing.T) {
	wrote := make(chan int, 10_000)
	h := serve(t, false, flowtest.Func(func(x *flow.Exchange) {
		x.Resp.Status = 200
		_ = x.Start()
		for i := range 1000 {
			if _, err := x.Write(make([]byte, 16<<10)); err != nil {
				return
			}
			wrote <- i
		}
		_ = x.Finish()
	}), testLimits)
	c := h.dialRaw(t)
	c.open(1, true, get("/")...)
	total := 0
	for total < h2.DefaultWindow { // all that the window allows comes
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(*http2.DataFrame); ok {
			total += len(d.Data())
		}
	}
	// Another stream is not held back but for the connection's window.
	_ = c.WritePing(false, [8]byte{1})
	for {
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := f.(*http2.PingFrame); ok {
			break
		}
		if d, ok := f.(*http2.DataFrame); ok {
			t.Fatalf("%d bytes beyond the window", len(d.Data()))
		}
	}
	if total != h2.DefaultWindow || len(wrote) > 4 {
		t.Errorf("%d bytes, %d writes taken", total, len(wrote))
	}
	_ = c.WriteRSTStream(1, http2.ErrCodeCancel)
}

// A drain says goodbye twice, lets what is served end, and closes.
func TestDrain(t *testing.T) {
	release := make(chan bool)
	h := serve(t, false, flowtest.Func(func(x *flow.Exchange) {
		<-release
		_ = x.Respond(200, "", []byte("whole"))
	}), testLimits)
	c := h.dialRaw(t)
	c.open(1, true, get("/")...)
	_ = c.WritePing(false, [8]byte{1})
	for pong := false; !pong; {
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		_, pong = f.(*http2.PingFrame)
	}
	b := *h.source.Load()
	b.Draining = true
	h.source.Store(&b)
	var last []uint32
	g := &got{}
	for {
		f, err := c.ReadFrame()
		if err != nil {
			break
		}
		if a, ok := f.(*http2.GoAwayFrame); ok {
			if last = append(last, a.LastStreamID); len(last) == 2 {
				close(release)
			}
			continue
		}
		c.take(f, 1, g)
	}
	if len(last) != 2 || last[0] != h2.MaxWindow || last[1] != 1 || g.body != "whole" {
		t.Errorf("GOAWAY of %v, %+v", last, g)
	}
}

// Whoever sends half a head, or nothing, is let go in time; so is a stream whose
// body stands still.
func TestTimeouts(t *testing.T) {
	limits := flow.Limits{HeadBytes: 32 << 10, Fields: 100, Header: 100 * time.Millisecond, Idle: 200 * time.Millisecond, Stall: 300 * time.Millisecond}
	greeting := h2.Preface + frameBytes(h2.TypeSettings, 0, 0, "")
	var enc raw
	enc.enc = newEncoder(&enc)
	head := string(enc.block(post("/")...))
	stalled := make(chan error, 1)
	s := flowtest.Func(func(x *flow.Exchange) {
		_, err := io.ReadAll(x.Req.Body)
		stalled <- err
		_ = x.Respond(408, "", nil)
	})
	for _, tt := range []struct {
		name, send string
		after      time.Duration
	}{
		{"silence", "", limits.Header},
		{"half a h2.Preface", h2.Preface[:10], limits.Header},
		{"idle", greeting, limits.Idle},
		{"half a head", greeting + frameBytes(h2.TypeHeaders, 0, 1, "\x82"), limits.Header},
		{"half a frame", greeting + "\x00\x00\x08\x06", limits.Header},
		{"half a body", greeting + frameBytes(h2.TypeHeaders, h2.FlagEndHeaders, 1, head), limits.Stall},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_ = piped(limits, s, tt.send)
			if d := time.Since(began); d < tt.after {
				t.Errorf("ended after %v, want %v", d, tt.after)
			}
			if tt.name != "half a body" {
				return
			}
			var fault *flow.Error
			if err := <-stalled; !errors.As(err, &fault) || !fault.Timeout {
				t.Errorf("%v", err)
			}
		})
	}
}

// Extended CONNECT is a GET with an Upgrade for whoever serves it; a 101 becomes
// a 200, and then both sides are streams.
func TestWebSocket(t *testing.T) {
	h := serve(t, false, flowtest.Func(func(x *flow.Exchange) {
		if x.Req.Method != "GET" || string(x.Req.Upgrade) != "websocket" || len(x.Req.Header.Get("Sec-WebSocket-Key")) != 24 || x.Req.HasBody() {
			_ = x.Respond(500, "", nil)
			return
		}
		if x.Resp.Status = 200; string(x.Req.Path) != "/plain" {
			accept := x.Responder().(*stream).head.Accept()
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
	ws := func(path string) []string {
		return []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a", ":path", path, "sec-websocket-version", "13"}
	}
	c := h.dialRaw(t)
	c.open(1, false, ws("/")...)
	_ = c.WriteData(1, false, []byte("hello "))
	_ = c.WriteData(1, true, []byte("world"))
	g := c.collect(1)
	if strings.Join(g.status, "") != "200" || g.body != "hello world" || g.header["sec-websocket-accept"] != "" {
		t.Errorf("%+v", g)
	}
	for i, path := range []string{"/plain", "/wrong"} {
		c.open(uint32(3+2*i), false, ws(path)...)
		if g := c.collect(uint32(3 + 2*i)); strings.Join(g.status, "") != "502" {
			t.Errorf("%s: %+v", path, g)
		}
	}
}

// A drain that finds the connection idle has it say goodbye instead of cutting it.
func TestDrainOfIdle(t *testing.T) {
	client, server := net.Pipe()
	var source flow.Source
	source.Store(&flow.Binding{Server: paths, Generation: flow.NewGeneration(1), Limits: testLimits})
	fc := &flow.Conn{Conn: server, Accepted: time.Now(), Source: &source}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Server{}.ServeConn(fc)
	}()
	go func() { _, _ = io.WriteString(client, h2.Preface+frameBytes(h2.TypeSettings, 0, 0, "")) }()
	var last []uint32
	for fr := http2.NewFramer(client, client); ; {
		f, err := fr.ReadFrame()
		if err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if f.IsAck() { // it is idle now
				for range 3 {
					if fc.CloseIfIdle() {
						t.Error("it was cut")
					}
				}
			}
		case *http2.GoAwayFrame:
			last = append(last, f.LastStreamID)
		}
	}
	<-done
	if len(last) != 2 || last[0] != h2.MaxWindow || last[1] != 0 {
		t.Errorf("GOAWAY of %v", last)
	}
}

// A client that cuts its stream wakes whoever waits for its body, or to send.
func TestClientResets(t *testing.T) {
	faults, begun := make(chan error, 2), make(chan bool, 2)
	h := serve(t, false, flowtest.Func(func(x *flow.Exchange) {
		begun <- true
		if string(x.Req.Path) == "/up" {
			_, err := io.ReadAll(x.Req.Body)
			faults <- err
			return
		}
		x.Resp.Status = 200
		_ = x.Start()
		_, err := x.Write(make([]byte, 1<<20))
		faults <- err
		if l, ok := x.Responder().(interface{ Left() bool }); !ok || !l.Left() {
			t.Error("nobody knows that the client has left")
		}
		x.Abort(err)
	}), testLimits)
	for i, path := range []string{"/up", "/down"} {
		c := h.dialRaw(t)
		c.open(1, i > 0, post(path)...)
		for n := 0; i > 0 && n < h2.DefaultWindow; {
			f, err := c.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := f.(*http2.DataFrame); ok {
				n += len(d.Data())
			}
		}
		<-begun // one that is reset before is never served
		_ = c.WriteRSTStream(1, http2.ErrCodeCancel)
		var fault *flow.Error
		if err := <-faults; !errors.As(err, &fault) || fault.Side != flow.SideClient {
			t.Errorf("%s: %v", path, err)
		}
	}
}
