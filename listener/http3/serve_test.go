package http3

import (
	"strings"
	"testing"

	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

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
