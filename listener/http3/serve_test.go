package http3

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// paths answers with the path, and with the body if there is one.
var paths = flowtest.Func(func(x *flow.Exchange) {
	body, err := io.ReadAll(x.Req.Body)
	if err != nil {
		var fault *flow.Error
		if errors.As(err, &fault) {
			_ = x.Respond(fault.StatusCode(), "", nil)
		}
		return
	}
	_ = x.Respond(200, "", append(bytes.Clone(x.Req.Path), body...))
})

// What is no request is refused, and the connection goes on.
func TestMalformed(t *testing.T) {
	served := make(chan string, 1000)
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		served <- string(x.Req.Target)
		_ = x.Respond(200, "", nil)
	}), testLimits)
	c := h.dial(t)
	for name, fields := range map[string][]string{
		"connection":         get("/", "connection", "close"),
		"keep-alive":         get("/", "keep-alive", "1"),
		"transfer-encoding":  get("/", "transfer-encoding", "chunked"),
		"upgrade":            get("/", "upgrade", "x"),
		"te":                 get("/", "te", "gzip"),
		"upper case":         get("/", "X-A", "b"),
		"blank before":       get("/", "a", " b"),
		"blank after":        get("/", "a", "b\t"),
		"no path":            {":method", "GET", ":scheme", "https", ":authority", "a"},
		"empty path":         get(""),
		"absolute path":      get("http://a/"),
		"star":               get("*"),
		"no authority":       {":method", "GET", ":scheme", "https", ":path", "/"},
		"userinfo":           {":method", "GET", ":scheme", "https", ":path", "/", ":authority", "u@a"},
		"host differs":       get("/", "host", "b"),
		"two hosts":          get("/", "host", "a.example", "host", "a.example"),
		"path twice":         get("/", ":path", "/"),
		"late pseudo":        {":method", "GET", ":scheme", "https", ":authority", "a", "x", "y", ":path", "/"},
		"status":             get("/", ":status", "200"),
		"scheme":             {":method", "GET", ":scheme", "ftp", ":authority", "a", ":path", "/"},
		"protocol":           get("/", ":protocol", "websocket"),
		"connect with path":  {":method", "CONNECT", ":authority", "a:1", ":path", "/", ":scheme", "https"},
		"connect, no port":   {":method", "CONNECT", ":authority", "a"},
		"length of no body":  post("/", "content-length", "5"),
		"two lengths":        post("/", "content-length", "0", "content-length", "0"),
		"sign":               post("/", "content-length", "+0"),
		"length list":        post("/", "content-length", "0, 0"),
		"dot segments":       get("/a/..;/b"),
		"websocket, ended":   {":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/"},
		"method with blanks": {":method", "G T", ":scheme", "https", ":authority", "a", ":path", "/"},
	} {
		if g := c.ask(headers(fields...)); strings.Join(g.status, "") != "400" || g.err != nil {
			t.Errorf("%s: %v", name, g)
		}
		if g := c.ask(headers(get("/ok")...)); strings.Join(g.status, "") != "200" || <-served != "/ok" {
			t.Errorf("behind %s: %v", name, g)
		}
	}
}

// desync is a field of a request that is given every byte.
type desync struct {
	name string
	make func(b byte) []string
	// harmless are the bytes with which the request is one.
	harmless func(b byte) bool
}

func token(b byte) bool {
	return b > ' ' && b < 0x7f && !strings.ContainsRune("\"(),/:;<=>?@[\\]{}", rune(b)) && !('A' <= b && b <= 'Z')
}

// All 256 bytes in each part of a head: what is forwarded holds no byte that
// HTTP/1 would read as something else, and most are refused.
func TestBytes(t *testing.T) {
	type seen struct{ method, target, authority, fields string }
	served := make(chan seen, 1)
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		s := seen{method: x.Req.Method, target: string(x.Req.Target), authority: string(x.Req.Authority)}
		for n, v := range x.Req.Header.All() {
			s.fields += string(n) + ": " + string(v) + "\n"
		}
		served <- s
		_ = x.Respond(200, "", nil)
	}), testLimits)
	var c *raw
	put := func(i int) func(b byte) []string {
		return func(b byte) []string {
			f := get("/a")
			f[i] += string([]byte{b})
			return append(f, "x", "y")
		}
	}
	value := func(b byte) bool { return b >= ' ' && b != 0x7f || b == '\t' }
	for _, d := range []desync{
		{"method", put(1), func(b byte) bool { return token(b) || 'A' <= b && b <= 'Z' }},
		{"scheme", put(3), func(b byte) bool { return false }}, // httpsX is none that is served
		{"authority", put(5), func(b byte) bool { return value(b) && b != ' ' }},
		{"path", put(7), func(b byte) bool { return value(b) && b != ' ' }},
		{"name", func(b byte) []string { return get("/a", "x"+string([]byte{b}), "y") }, func(b byte) bool { return token(b) }},
		{"name's first", func(b byte) []string { return get("/a", string([]byte{b})+"x", "y") }, func(b byte) bool { return token(b) }},
		{"value", func(b byte) []string { return get("/a", "x", "a"+string([]byte{b})+"b") }, value},
		{"value's end", func(b byte) []string { return get("/a", "x", "a"+string([]byte{b})) }, func(b byte) bool { return value(b) && b != ' ' && b != '\t' }},
		{"cookie", func(b byte) []string { return get("/a", "cookie", "a=1", "cookie", "b"+string([]byte{b})+"b") }, value},
		{"length", func(b byte) []string { return get("/a", "content-length", "0"+string([]byte{b})) }, func(b byte) bool { return b == '0' }},
		{"te", func(b byte) []string { return get("/a", "te", "trailers"+string([]byte{b})) }, func(b byte) bool { return false }},
		{"host", func(b byte) []string { return get("/a", "host", "a.example"+string([]byte{b})) }, func(b byte) bool { return false }},
	} {
		for i := range 256 {
			b := byte(i)
			if i%128 == 0 { // who is refused all the time is told to go
				c = h.dial(t)
			}
			g := c.ask(headers(d.make(b)...))
			status := strings.Join(g.status, "")
			switch {
			case g.err != nil:
				t.Fatalf("%s with %#x: %v", d.name, b, g)
			case status == "200":
				s := <-served
				if all := s.method + s.target + s.authority + s.fields; !d.harmless(b) || strings.ContainsAny(s.method+s.target+s.authority, " \t\r\n\x00") ||
					strings.ContainsAny(all, "\r\x00") || strings.Count(s.fields, "\n") != strings.Count(s.fields, ": ") {
					t.Errorf("%s with %#x was served: %+v", d.name, b, s)
				}
			case status != "400":
				t.Errorf("%s with %#x: %v", d.name, b, g)
			}
		}
	}
	if len(served) > 0 {
		t.Errorf("what was refused was served: %+v", <-served)
	}
}

// The body must be as long as it was said to be, however the stream ends.
func TestContentLength(t *testing.T) {
	h := serve(t, paths, testLimits)
	c := h.dial(t)
	head := headers(post("/", "content-length", "5")...)
	for name, send := range map[string]string{
		"short": data("1234"), "long": data("123456"), "empty": "", "empty frame": data("123") + data(""), "trailers": data("123") + headers("x-sum", "1"),
		"only trailers": headers("x-sum", "1"), "long, in pieces": data("123") + data("456"), "huge": string(wire.AppendFrame(nil, wire.FrameData, wire.MaxVarint)) + "12345",
	} {
		if name == "huge" { // an end inside it would end the connection
			q := c.open(head+send, false)
			if g := collect(t, q); strings.Join(g.status, "") != "400" {
				t.Errorf("%s: %v", name, g)
			}
			continue
		}
		for _, apart := range []bool{false, true} {
			q := c.open(head, false)
			if apart { // the head is being served before the rest comes
				c.ask(headers(get("/")...))
			}
			_, _ = q.Write([]byte(send))
			_ = q.Close()
			if g := collect(t, q); strings.Join(g.status, "") != "400" && g.cut() != wire.CodeMessage {
				t.Errorf("%s: %v", name, g)
			}
		}
	}
	if g := c.ask(head + data("12") + frame(0x21, "unknown") + data("345") + headers("x-sum", "1")); g.body != "/12345" {
		t.Errorf("%v", g)
	}
}

func TestCookiesAreJoined(t *testing.T) {
	h := serve(t, flowtest.Func(func(x *flow.Exchange) {
		n := 0
		for range x.Req.Header.Values("cookie") {
			n++
		}
		_ = x.Respond(200, "", append(bytes.Clone(x.Req.Header.Get("cookie")), byte('0'+n)))
	}), testLimits)
	if g := h.dial(t).ask(headers(get("/", "cookie", "a=b", "x", "y", "cookie", "c=d", "cookie", "e")...)); g.body != "a=b; c=d; e1" {
		t.Errorf("%q", g.body)
	}
}

// What is too large is told so, and costs the connection nothing.
func TestLimits(t *testing.T) {
	h := serve(t, paths, testLimits)
	c := h.dial(t)
	var many []string
	for range 101 {
		many = append(many, "a", "b")
	}
	for name, fields := range map[string][]string{
		"fields": get("/", many...), "bytes": get("/", "a", strings.Repeat("b", 32<<10)), "bomb": get("/" + strings.Repeat("a", 200<<10)),
	} {
		if g := collect(t, c.open(headers(fields...), true)); strings.Join(g.status, "") != "431" {
			t.Errorf("%s: %v", name, g)
		}
	}
	if g := c.ask(headers(get("/", many[:180]...)...)); g.body != "/" {
		t.Errorf("90 fields: %v", g)
	}
	if g := collect(t, c.open(headers(post("/")...)+data("x")+headers(many...), true)); strings.Join(g.status, "") != "400" {
		t.Errorf("trailers: %v", g)
	}
}
