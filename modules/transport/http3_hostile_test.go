package transport

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// What RFC 9114 and RFC 9204 do not let a server send: a 502 or a cut, and the next
// exchange is well.
func TestQUICHostile(t *testing.T) {
	frame := func(kind uint64, payload string) []byte {
		return append(wire.AppendFrame(nil, kind, uint64(len(payload))), payload...)
	}
	ok, long := headers(":status", "200"), strings.Repeat("x", 1000)
	bomb, many := []string{":status", "200"}, []string{":status", "200"}
	for i := range 40 {
		bomb = append(bomb, fmt.Sprintf("x-%d", i), long)
	}
	for i := range fieldLimit + 1 {
		many = append(many, fmt.Sprintf("x-%d", i), "v")
	}
	var interims []byte
	for range maxInterim + 1 {
		interims = append(interims, headers(":status", "103")...)
	}
	sized := headers(":status", "200", "content-length", "5")
	cases := []struct {
		name   string
		frames [][]byte
	}{
		{"nothing", nil},
		{"no status", [][]byte{headers("x-a", "b")}},
		{"two statuses", [][]byte{headers(":status", "200", ":status", "200")}},
		{"status behind fields", [][]byte{headers("x-a", "b", ":status", "200")}},
		{"unknown pseudo-header", [][]byte{headers(":status", "200", ":path", "/")}},
		{"status 600", [][]byte{headers(":status", "600")}},
		{"101", [][]byte{headers(":status", "101")}},
		{"100 at the end", [][]byte{headers(":status", "100")}},
		{"too many interim", [][]byte{interims, ok}},
		{"connection", [][]byte{headers(":status", "200", "connection", "close")}},
		{"transfer-encoding", [][]byte{headers(":status", "200", "transfer-encoding", "chunked")}},
		{"upper case", [][]byte{headers(":status", "200", "X-A", "b")}},
		{"line break", [][]byte{headers(":status", "200", "x-a", "b\r\nx-b: c")}},
		{"two lengths", [][]byte{headers(":status", "200", "content-length", "0", "content-length", "0")}},
		{"length and no body", [][]byte{sized}},
		{"body too short", [][]byte{sized, data("1234")}},
		{"body too long", [][]byte{sized, data("123456")}},
		{"large head", [][]byte{headers(bomb...)}},
		{"many fields", [][]byte{headers(many...)}},
		{"a head of no end", [][]byte{wire.AppendFrame(nil, wire.FrameHeaders, 1<<40)}},
		{"data first", [][]byte{data("x"), ok}},
		{"settings", [][]byte{frame(wire.FrameSettings, "")}},
		{"push", [][]byte{frame(wire.FramePush, "\x00")}},
		{"HTTP/2's ping", [][]byte{frame(6, "12345678")}},
		{"half a frame", [][]byte{ok, wire.AppendFrame(nil, wire.FrameData, 100), []byte("x")}},
		{"half a head", [][]byte{ok[:len(ok)-1]}},
		{"dynamic table", [][]byte{frame(wire.FrameHeaders, "\x02\x00\x80")}},
		{"no such entry", [][]byte{frame(wire.FrameHeaders, "\x00\x00\xff\xff\x01")}},
		{"status in a trailer", [][]byte{ok, data("x"), headers(":status", "200")}},
		{"behind the trailer", [][]byte{ok, data("x"), headers("x-a", "b"), data("y")}},
		{"much that means nothing", [][]byte{bytes.Repeat(frame(0x21, long), 80), ok}},
		{"empty frames", [][]byte{ok, bytes.Repeat(data(""), 10_000), data("x")}},
	}
	s := newServer3(t, nil, func(p *peer3, _ int) {
		for c := p.request(); c != nil; c = p.request() {
			if c.fields[":path"] == "/good" {
				c.says(frame(0x21, "greased"), ok, frame(0x40, ""), data("good"), headers("x-a", "b"), frame(0x21, ""))
			} else {
				var at int
				if _, err := fmt.Sscanf(c.fields[":path"], "/bad/%d", &at); err != nil {
					t.Error(err)
				}
				c.says(cases[at].frames...)
			}
		}
	})
	g := newGate3(t, s.addr, testTimeouts)
	g.tries = 2
	c, url := g.client(t, false)
	for at, h := range cases {
		if got := ask(c, "POST", fmt.Sprint(url, "/bad/", at), "x"); !strings.HasPrefix(got, "502 ") && !strings.HasSuffix(got, "broken") && !strings.HasPrefix(got, "no answer") {
			t.Errorf("%s: %s", h.name, got)
		}
		if got := ask(c, "GET", url+"/good", ""); got != "200 good" {
			t.Errorf("%s, then: %s", h.name, got)
		}
	}
}

// What a server may not say beside its answers ends the connection.
func TestQUICHostileControl(t *testing.T) {
	for name, say := range map[string]func(p *peer3) error{
		"second settings": func(p *peer3) error { _, err := p.control.Write([]byte{wire.FrameSettings, 0}); return err },
		"data":            func(p *peer3) error { _, err := p.control.Write(data("x")); return err },
		"GOAWAY of ours":  func(p *peer3) error { _, err := p.control.Write([]byte{wire.FrameGoAway, 1, 3}); return err },
		"GOAWAY, higher": func(p *peer3) error {
			_, err := p.control.Write([]byte{wire.FrameGoAway, 1, 8, wire.FrameGoAway, 1, 12})
			return err
		},
		"end":            func(p *peer3) error { return p.control.Close() },
		"push stream":    opens("\x01\x00"),
		"second control": opens("\x00\x04\x00"),
		"table":          opens("\x02\x3f\x01"),
		"acknowledgment": opens("\x03\x80"),
	} {
		t.Run(name, func(t *testing.T) {
			read := make(chan bool)
			s := newServer3(t, nil, func(p *peer3, n int) {
				if n > 0 {
					p.serves("new")
					return
				}
				p.request().answer("old")
				<-read
				if err := say(p); err != nil {
					t.Error(err)
				}
				<-p.Context().Done()
			})
			g := newGate3(t, s.addr, testTimeouts)
			c, url := g.client(t, false)
			if got := ask(c, "GET", url, ""); got != "200 old" {
				t.Fatal(got)
			}
			close(read)
			until(t, "the connection's end", func() bool { return g.idle.Shared() == 0 })
			if got := ask(c, "GET", url, ""); got != "200 new" {
				t.Error(got)
			}
		})
	}
}

// opens sends a stream of one direction, which stays open.
func opens(text string) func(p *peer3) error {
	return func(p *peer3) error {
		q, err := p.OpenUniStream()
		if err == nil {
			_, err = q.Write([]byte(text))
		}
		return err
	}
}
