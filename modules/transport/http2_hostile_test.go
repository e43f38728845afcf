package transport

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// hostile is a server that answers the n-th request with what give writes; behind
// each there must be a connection that is still good, or a new one.
func hostile(t *testing.T, give func(p *peer, c *call, n int)) (*gate, *client) {
	n := 0
	ready := make(chan bool, 1)
	ready <- true
	l := newServer(t, nil, func(p *peer, _ int) {
		for c := p.request(); c != nil; c = p.request() {
			<-ready
			give(p, c, n)
			n++
			ready <- true
		}
	})
	g := newGate(t, l, testTimeouts)
	return g, (&proxy{addr: g.h1}).dial(t)
}

// Every byte in every part of an answer's head: what HTTP/1 could read in another
// way never reaches the client.
func TestHostileBytes(t *testing.T) {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
	parts := []struct {
		name   string
		fields func(b string) []string
		good   func(b byte) bool
	}{
		{"value", func(b string) []string { return []string{":status", "200", "x-a", "a" + b + "b"} },
			func(b byte) bool { return b == '\t' || b >= ' ' && b != 0x7f }},
		{"value's begin", func(b string) []string { return []string{":status", "200", "x-a", b + "b"} },
			func(b byte) bool { return b > ' ' && b != 0x7f }},
		{"value's end", func(b string) []string { return []string{":status", "200", "x-a", "b" + b} },
			func(b byte) bool { return b > ' ' && b != 0x7f }},
		{"name", func(b string) []string { return []string{":status", "200", "x" + b + "a", "v"} },
			func(b byte) bool { return strings.IndexByte(token, b) >= 0 }},
		{"name's begin", func(b string) []string { return []string{":status", "200", b + "xa", "v"} },
			func(b byte) bool { return strings.IndexByte(token, b) >= 0 }},
		{"status", func(b string) []string { return []string{":status", "4" + b + "0"} },
			func(b byte) bool { return b >= '0' && b <= '9' }},
		{"length", func(b string) []string { return []string{":status", "200", "content-length", b + "2"} },
			func(b byte) bool { return b == '0' }},
	}
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			_, c := hostile(t, func(p *peer, c *call, n int) {
				if part.name == "length" && n > '0' {
					n += 9
				}
				p.head(c.id, false, part.fields(string([]byte{byte(n)}))...)
				_ = p.WriteData(c.id, true, []byte("ok"))
			})
			for b := range 256 {
				if part.name == "length" && b > '0' && b <= '9' {
					continue // another length: TestHostileBodies
				}
				c.send(get)
				r := c.answer("GET")
				switch good := part.good(byte(b)); {
				case good && (r.StatusCode == 502 || r.body != "ok" || r.err != nil):
					t.Fatalf("%#02x: %d %v", b, r.StatusCode, r.err)
				case !good && r.StatusCode != 502:
					t.Fatalf("%#02x: %d %v", b, r.StatusCode, r.Header)
				}
			}
			if n := c.br.Buffered(); n > 0 {
				t.Errorf("%d bytes behind the last answer", n)
			}
		})
	}
}

// What RFC 9113 does not let a server send, a request each.
func TestHostileAnswers(t *testing.T) {
	long := strings.Repeat("x", 1000)
	var bomb, many []string
	for i := range 40 {
		bomb = append(bomb, fmt.Sprintf("x-%d", i), long)
	}
	for i := range fieldLimit + 1 {
		many = append(many, fmt.Sprintf("x-%d", i), "v")
	}
	cases := []struct {
		name string
		give func(p *peer, c *call)
	}{
		{"no status", func(p *peer, c *call) { p.head(c.id, true, "x-a", "b") }},
		{"two statuses", func(p *peer, c *call) { p.head(c.id, true, ":status", "200", ":status", "200") }},
		{"status behind fields", func(p *peer, c *call) { p.head(c.id, true, "x-a", "b", ":status", "200") }},
		{"unknown pseudo-header", func(p *peer, c *call) { p.head(c.id, true, ":status", "200", ":path", "/") }},
		{"status 99", func(p *peer, c *call) { p.head(c.id, true, ":status", "099") }},
		{"status 600", func(p *peer, c *call) { p.head(c.id, true, ":status", "600") }},
		{"status 2000", func(p *peer, c *call) { p.head(c.id, true, ":status", "2000") }},
		{"101", func(p *peer, c *call) { p.head(c.id, false, ":status", "101") }},
		{"100 at the end", func(p *peer, c *call) { p.head(c.id, true, ":status", "100") }},
		{"too many interim", func(p *peer, c *call) {
			for range maxInterim + 1 {
				p.head(c.id, false, ":status", "103")
			}
		}},
		{"connection", func(p *peer, c *call) { p.head(c.id, true, ":status", "200", "connection", "close") }},
		{"keep-alive", func(p *peer, c *call) { p.head(c.id, true, ":status", "200", "keep-alive", "1") }},
		{"proxy-connection", func(p *peer, c *call) { p.head(c.id, true, ":status", "200", "proxy-connection", "close") }},
		{"transfer-encoding", func(p *peer, c *call) { p.head(c.id, true, ":status", "200", "transfer-encoding", "chunked") }},
		{"upgrade", func(p *peer, c *call) { p.head(c.id, true, ":status", "200", "upgrade", "websocket") }},
		{"te", func(p *peer, c *call) { p.head(c.id, true, ":status", "200", "te", "trailers") }},
		{"two lengths", func(p *peer, c *call) {
			p.head(c.id, true, ":status", "200", "content-length", "0", "content-length", "0")
		}},
		{"length and no body", func(p *peer, c *call) { p.head(c.id, true, ":status", "200", "content-length", "5") }},
		{"large head", func(p *peer, c *call) { p.head(c.id, true, append([]string{":status", "200"}, bomb...)...) }},
		{"many fields", func(p *peer, c *call) { p.head(c.id, true, append([]string{":status", "200"}, many...)...) }},
		{"DATA first", func(p *peer, c *call) { _ = p.WriteData(c.id, true, []byte("data")) }},
		{"window of 0", func(p *peer, c *call) { _ = p.WriteWindowUpdate(c.id, 0) }},
		{"push", func(p *peer, c *call) {
			_ = p.WritePushPromise(http2.PushPromiseParam{StreamID: c.id, PromiseID: 2, BlockFragment: []byte{0x88}, EndHeaders: true})
		}},
		{"a stream nobody opened", func(p *peer, _ *call) { p.head(99999, true, ":status", "200") }},
		{"a stream of the server's", func(p *peer, _ *call) { p.head(2, true, ":status", "200") }},
		{"bad HPACK", func(p *peer, c *call) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: c.id, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true})
		}},
		{"CONTINUATION without end", func(p *peer, c *call) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: c.id, BlockFragment: []byte{0x88}})
			for range maxContinuations + 1 {
				_ = p.WriteContinuation(c.id, false, nil)
			}
		}},
		{"a frame inside a head", func(p *peer, c *call) {
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: c.id, BlockFragment: []byte{0x88}})
			_ = p.WritePing(false, [8]byte{})
		}},
		{"a short RST_STREAM", func(p *peer, c *call) { _ = p.WriteRawFrame(http2.FrameRSTStream, 0, c.id, []byte{0}) }},
		{"SETTINGS of a stream", func(p *peer, c *call) { _ = p.WriteRawFrame(http2.FrameSettings, 0, c.id, nil) }},
		{"a frame too large", func(p *peer, c *call) { _ = p.WriteRawFrame(http2.FrameData, 0, c.id, make([]byte, h2.MaxFrame+1)) }},
		{"windows beyond all bounds", func(p *peer, _ *call) { _ = p.WriteWindowUpdate(0, 1<<31-1) }},
	}
	g, c := hostile(t, func(p *peer, c *call, n int) {
		if n%2 == 1 { // in between, all is well
			p.answer(c.id, "well")
			return
		}
		cases[n/2].give(p, c)
	})
	for _, k := range cases {
		c.send(get)
		r := c.answer("GET")
		for r.StatusCode == 103 {
			r = c.answer("GET")
		}
		if r.StatusCode != 502 || r.err != nil {
			t.Fatalf("%s: %d %q %v (%v)", k.name, r.StatusCode, r.body, r.err, g.fault.Load())
		}
		if f := g.fault.Load(); f == nil || !f.Begun {
			t.Errorf("%s: %+v", k.name, f)
		}
		c.send(get).want(200, "well")
	}
}

// Bodies that are not what was announced are cut, and never look whole.
func TestHostileBodies(t *testing.T) {
	cases := []struct {
		name string
		give func(p *peer, c *call)
	}{
		{"too short", func(p *peer, c *call) { _ = p.WriteData(c.id, true, []byte("1234")) }},
		{"too long", func(p *peer, c *call) { _ = p.WriteData(c.id, true, []byte("123456")) }},
		{"too short for its trailer", func(p *peer, c *call) { p.head(c.id, true, "x-sum", "1") }},
		{"a trailer without end", func(p *peer, c *call) { p.head(c.id, false, "x-sum", "1") }},
		{"a trailer with a status", func(p *peer, c *call) {
			p.head(c.id, true, ":status", "200")
		}},
		{"a bad trailer", func(p *peer, c *call) {
			p.head(c.id, true, "x-sum", "1\r\n\r\nHTTP/1.1 200 OK")
		}},
		{"a reset", func(p *peer, c *call) { _ = p.WriteRSTStream(c.id, http2.ErrCodeNo) }},
		{"an end", func(p *peer, _ *call) { _ = p.Conn.Close() }},
	}
	for _, k := range cases {
		for _, two := range []bool{false, true} {
			g, _ := hostile(t, func(p *peer, c *call, _ int) {
				if strings.HasPrefix(k.name, "a ") {
					p.head(c.id, false, ":status", "200")
				} else {
					p.head(c.id, false, ":status", "200", "content-length", "5")
				}
				k.give(p, c)
			})
			c, url := g.client(t, two)
			if got := ask(c, "GET", url, ""); !strings.Contains(got, "broken") && !strings.HasPrefix(got, "no answer") {
				t.Errorf("%s, HTTP/2 %v: %s", k.name, two, got)
			}
		}
	}
	// What has no body has none, whatever comes.
	g, _ := hostile(t, func(p *peer, c *call, _ int) {
		p.head(c.id, false, ":status", "200", "content-length", "4")
		_ = p.WriteData(c.id, true, []byte("HTTP"))
	})
	c, url := g.client(t, false)
	if got := ask(c, "HEAD", url, ""); got != "200 " {
		t.Error(got)
	}
}

// Fields of trailers that frame or route a message do not pass.
func TestHostileTrailers(t *testing.T) {
	l := newServer(t, nil, func(p *peer, _ int) {
		c := p.request()
		p.head(c.id, false, ":status", "200")
		_ = p.WriteData(c.id, false, []byte("body"))
		p.head(c.id, true, "content-length", "50", "host", "evil", "grpc-status", "0", "x_forwarded_for", "1.2.3.4", "x-sum", "7")
		p.drain()
	})
	g := newGate(t, l, testTimeouts)
	c, url := g.client(t, true)
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != "body" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if want := (http.Header{"Grpc-Status": {"0"}, "X-Sum": {"7"}}); fmt.Sprint(resp.Trailer) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", resp.Trailer, want)
	}
}

// nowhere is a connection that takes everything and gives nothing.
type nowhere struct{ net.Conn }

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// FuzzAnswerFrames: whatever a server sends, nothing panics, what is taken for an
// answer can be written to a client, and what waits to be sent is bounded.
func FuzzAnswerFrames(f *testing.F) {
	var enc bytes.Buffer
	e := hpack.NewEncoder(&enc)
	_ = e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = e.WriteField(hpack.HeaderField{Name: "x-a", Value: "b"})
	settings := h2.AppendFrame(nil, 0, h2.TypeSettings, 0, 0)
	head := append(h2.AppendFrame(settings, enc.Len(), h2.TypeHeaders, h2.FlagEndHeaders, 1), enc.Bytes()...)
	f.Add(append(h2.AppendFrame(bytes.Clone(head), 2, h2.TypeData, h2.FlagEndStream, 1), "ok"...))
	f.Add(append(h2.AppendFrame(bytes.Clone(head), enc.Len(), h2.TypeHeaders, h2.FlagEndHeaders|h2.FlagEndStream, 1), enc.Bytes()...))
	f.Add(h2.AppendReset(bytes.Clone(head), 1, h2.CodeCancel))
	f.Add(h2.AppendGoAway(bytes.Clone(head), 0, h2.CodeNone))
	f.Add(h2.AppendWindow(bytes.Clone(settings), 1, 5))
	f.Add(h2.AppendSetting(h2.AppendFrame(nil, 6, h2.TypeSettings, 0, 0), h2.SettingWindow, h2.MaxWindow))
	f.Add(append(h2.AppendFrame(bytes.Clone(settings), 8, h2.TypePing, 0, 0), "pingpong"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		srv := &upstream.Server{Timeouts: testTimeouts, Live: upstream.NewLive(), Protocol: upstream.H2}
		m := newMux(nowhere{a}, srv, NewIdle(0))
		m.idleFor = int64(guardTime)
		x := &flow.Exchange{}
		x.Begin(&flow.Conn{}, nil)
		x.Req.Method, x.Req.Target = "GET", []byte("/")
		s, _ := m.take(x, srv)
		if s == nil {
			t.Fatal("no stream")
		}
		m.mu.Lock()
		for len(data) > 0 && m.failed == nil {
			n := copy(m.buf[m.w:], data)
			data = data[n:]
			m.w += n
			m.frames()
			if len(m.out) > 4*outLimit {
				t.Fatalf("%d bytes wait to be sent", len(m.out))
			}
			m.out = m.out[:0]
		}
		m.mu.Unlock()
		if s.headed && s.fault == nil {
			s.answered()
			checkHead(t, x)
		}
	})
}

// checkHead writes the answer as HTTP/1 would be, and reads it with net/http.
func checkHead(t *testing.T, x *flow.Exchange) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d x\r\n", x.Resp.Status)
	n := 0
	for name, value := range x.Resp.Header.All() {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		n++
	}
	b.WriteString("\r\n")
	r := bufio.NewReader(&b)
	resp, err := http.ReadResponse(r, &http.Request{Method: "HEAD"})
	if err != nil {
		t.Fatalf("%v: %q", err, b.String())
	}
	got := 0
	for _, v := range resp.Header {
		got += len(v)
	}
	if got != n || r.Buffered() > 0 || resp.StatusCode != x.Resp.Status {
		t.Fatalf("%d fields of %d, %d bytes behind the head", got, n, r.Buffered())
	}
}
