package multitest

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// Ask sends a head that ends its stream and gives what the answer's :status fields
// say, one behind the other, and its body.
type Ask func(fields ...string) (status, body string)

// Start serves exchanges until the test ends; dial gives a connection more.
type Start func(t *testing.T, s flow.Server) (dial func() Ask)

// Run runs all cases.
func Run(t *testing.T, start Start) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Start)
	}{{"Malformed", malformed}, {"Bytes", everyByte}, {"Cookies", cookies}, {"TooLarge", tooLarge}, {"Lent", lent}} {
		t.Run(c.name, func(t *testing.T) { c.test(t, start) })
	}
}

// What is no request is refused with 400, and the connection goes on.
func malformed(t *testing.T, start Start) {
	served := make(chan string, 1000)
	dial := start(t, flowtest.Func(func(x *flow.Exchange) {
		served <- string(x.Req.Target)
		_ = x.Respond(200, "", nil)
	}))
	ask := dial()
	for name, fields := range map[string][]string{
		"connection":         Get("/", "connection", "close"),
		"keep-alive":         Get("/", "keep-alive", "1"),
		"transfer-encoding":  Get("/", "transfer-encoding", "chunked"),
		"upgrade":            Get("/", "upgrade", "x"),
		"te":                 Get("/", "te", "gzip"),
		"upper case":         Get("/", "X-A", "b"),
		"blank before":       Get("/", "a", " b"),
		"blank after":        Get("/", "a", "b\t"),
		"no path":            {":method", "GET", ":scheme", "https", ":authority", "a"},
		"empty path":         Get(""),
		"absolute path":      Get("http://a/"),
		"star":               Get("*"),
		"no authority":       {":method", "GET", ":scheme", "https", ":path", "/"},
		"userinfo":           {":method", "GET", ":scheme", "https", ":path", "/", ":authority", "u@a"},
		"host differs":       Get("/", "host", "b"),
		"two hosts":          Get("/", "host", "a.example", "host", "a.example"),
		"path twice":         Get("/", ":path", "/"),
		"late pseudo":        {":method", "GET", ":scheme", "https", ":authority", "a", "x", "y", ":path", "/"},
		"status":             Get("/", ":status", "200"),
		"scheme":             {":method", "GET", ":scheme", "ftp", ":authority", "a", ":path", "/"},
		"protocol":           Get("/", ":protocol", "websocket"),
		"connect with path":  {":method", "CONNECT", ":authority", "a:1", ":path", "/", ":scheme", "https"},
		"connect, no port":   {":method", "CONNECT", ":authority", "a"},
		"length of no body":  Post("/", "content-length", "5"),
		"two lengths":        Post("/", "content-length", "0", "content-length", "0"),
		"sign":               Post("/", "content-length", "+0"),
		"length list":        Post("/", "content-length", "0, 0"),
		"dot segments":       Get("/a/..;/b"),
		"websocket, ended":   {":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/"},
		"method with blanks": {":method", "G T", ":scheme", "https", ":authority", "a", ":path", "/"},
	} {
		if status, _ := ask(fields...); status != "400" {
			t.Errorf("%s: %q", name, status)
		}
		if status, _ := ask(Get("/ok")...); status != "200" || <-served != "/ok" {
			t.Errorf("behind %s: %q", name, status)
		}
	}
}

func token(b byte) bool {
	return b > ' ' && b < 0x7f && !strings.ContainsRune("\"(),/:;<=>?@[\\]{}", rune(b)) && !('A' <= b && b <= 'Z')
}

// All 256 bytes in each part of a head: what is forwarded holds no byte that
// HTTP/1 would read as something else, and most are refused.
func everyByte(t *testing.T, start Start) {
	type seen struct{ method, target, authority, fields string }
	served := make(chan seen, 1)
	dial := start(t, flowtest.Func(func(x *flow.Exchange) {
		s := seen{method: x.Req.Method, target: string(x.Req.Target), authority: string(x.Req.Authority)}
		for n, v := range x.Req.Header.All() {
			s.fields += string(n) + ": " + string(v) + "\n"
		}
		served <- s
		_ = x.Respond(200, "", nil)
	}))
	put := func(i int) func(b byte) []string {
		return func(b byte) []string {
			f := Get("/a")
			f[i] += string([]byte{b})
			return append(f, "x", "y")
		}
	}
	value := func(b byte) bool { return b >= ' ' && b != 0x7f || b == '\t' }
	var ask Ask
	for _, d := range []struct {
		name string
		make func(b byte) []string
		// harmless are the bytes with which the request is one.
		harmless func(b byte) bool
	}{
		{"method", put(1), func(b byte) bool { return token(b) || 'A' <= b && b <= 'Z' }},
		{"scheme", put(3), func(byte) bool { return false }}, // httpsX is none that is served
		{"authority", put(5), func(b byte) bool { return value(b) && b != ' ' }},
		{"path", put(7), func(b byte) bool { return value(b) && b != ' ' }},
		{"name", func(b byte) []string { return Get("/a", "x"+string([]byte{b}), "y") }, token},
		{"name's first", func(b byte) []string { return Get("/a", string([]byte{b})+"x", "y") }, token},
		{"value", func(b byte) []string { return Get("/a", "x", "a"+string([]byte{b})+"b") }, value},
		{"value's end", func(b byte) []string { return Get("/a", "x", "a"+string([]byte{b})) }, func(b byte) bool { return value(b) && b != ' ' && b != '\t' }},
		{"cookie", func(b byte) []string { return Get("/a", "cookie", "a=1", "cookie", "b"+string([]byte{b})+"b") }, value},
		{"length", func(b byte) []string { return Get("/a", "content-length", "0"+string([]byte{b})) }, func(b byte) bool { return b == '0' }},
		{"te", func(b byte) []string { return Get("/a", "te", "trailers"+string([]byte{b})) }, func(byte) bool { return false }},
		{"host", func(b byte) []string { return Get("/a", "host", "a.example"+string([]byte{b})) }, func(byte) bool { return false }},
	} {
		for i := range 256 {
			b := byte(i)
			if i%128 == 0 { // who is refused all the time is told to go
				ask = dial()
			}
			switch status, _ := ask(d.make(b)...); status {
			case "200":
				s := <-served
				if all := s.method + s.target + s.authority + s.fields; !d.harmless(b) || strings.ContainsAny(s.method+s.target+s.authority, " \t\r\n\x00") ||
					strings.ContainsAny(all, "\r\x00") || strings.Count(s.fields, "\n") != strings.Count(s.fields, ": ") {
					t.Errorf("%s with %#x was served: %+v", d.name, b, s)
				}
			case "400":
			default:
				t.Errorf("%s with %#x: %q", d.name, b, status)
			}
		}
	}
	if len(served) > 0 {
		t.Errorf("what was refused was served: %+v", <-served)
	}
}

// Cookies that come in several fields are one (RFC 9113 §8.2.3, RFC 9114 §4.2.1).
func cookies(t *testing.T, start Start) {
	dial := start(t, flowtest.Func(func(x *flow.Exchange) {
		n := 0
		for range x.Req.Header.Values("cookie") {
			n++
		}
		_ = x.Respond(200, "", append(bytes.Clone(x.Req.Header.Get("cookie")), byte('0'+n)))
	}))
	if _, body := dial()(Get("/", "cookie", "a=b", "x", "y", "cookie", "c=d", "cookie", "e")...); body != "a=b; c=d; e1" {
		t.Errorf("%q", body)
	}
}

// Heads that are too large are refused with 431, and the connection goes on.
func tooLarge(t *testing.T, start Start) {
	ask := start(t, Paths)()
	var many []string
	for range 101 {
		many = append(many, "a", "b")
	}
	for name, fields := range map[string][]string{"fields": Get("/", many...), "bytes": Get("/", "a", strings.Repeat("b", 32<<10))} {
		if status, _ := ask(fields...); status != "431" {
			t.Errorf("%s: %q", name, status)
		}
	}
	if status, body := ask(Get("/again", many[:180]...)...); status != "200" || body != "/again" {
		t.Errorf("90 fields: %q, %q", status, body)
	}
}

// An exchange sees of its connection all that there is to know.
func lent(t *testing.T, start Start) {
	var lacks atomic.Value
	ask := start(t, flowtest.Func(func(x *flow.Exchange) {
		c := x.Conn
		lacks.Store([]bool{c.Ended == nil, c.Active == nil, c.Source == nil, c.Bound() == nil, c.Accepted.IsZero(), !c.Peer.IsValid()})
		_ = x.Respond(200, "", nil)
	}))()
	ask(Get("/")...)
	for i, lack := range lacks.Load().([]bool) {
		if lack {
			t.Errorf("fact %d is not there", i)
		}
	}
}
