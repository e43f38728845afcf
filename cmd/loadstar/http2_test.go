package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// frames is an HTTP/2 client with prior knowledge that sends what it is told.
type frames struct {
	net.Conn
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	dec   *hpack.Decoder
}

func dialFrames(t *testing.T, port int) *frames {
	t.Helper()
	c, err := net.Dial("tcp", rig.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(e2e.Patience))
	f := &frames{Conn: c, Framer: http2.NewFramer(c, c), dec: hpack.NewDecoder(4096, nil)}
	f.enc = hpack.NewEncoder(&f.block)
	f.AllowIllegalWrites = true
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = f.WriteSettings()
	return f
}

func (f *frames) open(id uint32, end bool, fields ...string) {
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = f.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.block.Bytes(), EndStream: end, EndHeaders: true})
}

// await reads until the stream has ended: its status, "" if none came, and body.
func (f *frames) await(t *testing.T, id uint32) (status, body string, whole bool) {
	t.Helper()
	for {
		fr, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("stream %d: %v", id, err)
		}
		switch fr := fr.(type) {
		case *http2.HeadersFrame:
			fields, err := f.dec.DecodeFull(fr.HeaderBlockFragment())
			if err != nil {
				t.Fatal(err)
			}
			if fr.StreamID != id {
				continue
			}
			for _, hf := range fields {
				if hf.Name == ":status" {
					status = hf.Value
				}
			}
			if fr.StreamEnded() {
				return status, body, true
			}
		case *http2.DataFrame:
			if fr.StreamID != id {
				continue
			}
			if body += string(fr.Data()); fr.StreamEnded() {
				return status, body, true
			}
		case *http2.RSTStreamFrame:
			if fr.StreamID == id {
				return status, body, false
			}
		case *http2.GoAwayFrame:
			t.Fatalf("stream %d: GOAWAY %v", id, fr.ErrCode)
		}
	}
}

// fields of a good request, with one of them spoilt by a byte.
func spoilt(field int, b byte) []string {
	c := string([]byte{b})
	f := []string{":method", "GET", ":scheme", "http", ":authority", "www.example", ":path", "/case", "x-a", "b", "content-length", "0"}
	switch field {
	case 0:
		f[1] = "GE" + c + "T"
	case 1:
		f[3] = "ht" + c + "tp"
	case 2:
		f[5] = "www" + c + "example"
	case 3:
		f[7] = "/ca" + c + "se"
	case 4:
		f[8] = "x-" + c + "a"
	case 5:
		f[9] = "a" + c + "b"
	case 6:
		f[9] = c + "b"
	case 7:
		f[9] = "b" + c
	case 8:
		f[11] = c + "0"
	case 9:
		f = append(f, "te", "trailers"+c)
	case 10:
		f = append(f, "host", "www.example"+c)
	case 11:
		f = append(f, "cookie", "a="+c)
	}
	return f
}

// TestHTTP2Desync: every byte at a place of every field. What arrives at the
// server is one message that an independent parser reads as a whole, and the
// bytes that could end a line or a name never do.
func TestHTTP2Desync(t *testing.T) {
	t.Parallel()
	port, o := front(t)
	others := parsers(t)
	for field := range 12 {
		t.Run(fmt.Sprint(field), func(t *testing.T) {
			c := dialFrames(t, port)
			answered := 0
			for b := range 256 {
				if b%64 == 63 { // refusals cost a client its welcome
					c = dialFrames(t, port)
				}
				id := uint32(2*(b%64) + 1)
				if b%64 == 63 {
					id = 1
				} else if b >= 64 {
					id += 2
				}
				c.open(id, true, spoilt(field, byte(b))...)
				status, _, _ := c.await(t, id)
				if status == "200" {
					answered++
				} else if status != "400" {
					t.Errorf("byte %#x: status %q", b, status)
				}
				if bad := b < ' ' && b != '\t' || b == 0x7f; bad && status == "200" {
					t.Errorf("byte %#x is let through", b)
				}
			}
			messages, broken := o.Settled(t, port)
			if len(broken) > 0 {
				t.Errorf("bytes that are no request were forwarded: %q", broken)
			}
			if len(messages) != answered {
				t.Errorf("%d messages for %d answers", len(messages), answered)
			}
			agreed(t, others, messages)
			for _, m := range messages {
				if !m.Complete || m.Body != "" || field != 2 && m.Host != "www.example" || field > 0 && m.Method != "GET" {
					t.Errorf("forwarded: %q", m.Raw)
				}
			}
		})
	}
}

// TestHTTP2ContentLength: a body that differs from its length is never a whole
// message to the server.
func TestHTTP2ContentLength(t *testing.T) {
	port, o := front(t)
	head := []string{":method", "POST", ":scheme", "http", ":authority", "www.example", ":path", "/case", "content-length", "5"}
	for name, send := range map[string]func(c *frames){
		"no body":  func(c *frames) { c.open(1, true, head...) },
		"short":    func(c *frames) { c.open(1, false, head...); _ = c.WriteData(1, true, []byte("1234")) },
		"long":     func(c *frames) { c.open(1, false, head...); _ = c.WriteData(1, true, []byte(smuggled)) },
		"empty":    func(c *frames) { c.open(1, false, head...); _ = c.WriteData(1, true, nil) },
		"trailers": func(c *frames) { c.open(1, false, head...); c.open(1, true, "x", "y") },
		"late end": func(c *frames) {
			c.open(1, false, head...)
			_ = c.WriteData(1, false, []byte("12345"))
			_ = c.WriteData(1, true, []byte("6"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialFrames(t, port)
			send(c)
			if status, _, _ := c.await(t, 1); status == "200" && name != "late end" {
				t.Error("it is answered")
			}
			messages, broken := o.Settled(t, port)
			for _, m := range messages {
				if m.Complete && (name != "late end" || m.Body != "12345") {
					t.Errorf("forwarded as whole: %q", m.Raw)
				}
			}
			for _, b := range broken {
				t.Errorf("no request: %q", b)
			}
		})
	}
}

// TestHTTP2WebSocket: extended CONNECT to a server of HTTP/1.1, and back.
func TestHTTP2WebSocket(t *testing.T) {
	origin := websocketOrigin(t)
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, fmt.Sprintf("http://:%d {\n\tproxy 127.0.0.1:%d\n}\n", port, origin), port)
	c := dialFrames(t, port)
	c.open(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "www.example", ":path", "/ws", "sec-websocket-version", "13")
	_ = c.WriteData(1, false, []byte("hello "))
	_ = c.WriteData(1, true, []byte("world"))
	if status, body, _ := c.await(t, 1); status != "200" || body != "hello world" {
		t.Errorf("status %s, %q", status, body)
	}
	// One that is refused leaves the connection to others.
	c.open(3, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "www.example", ":path", "/no", "sec-websocket-version", "13")
	if status, _, _ := c.await(t, 3); status != "403" {
		t.Errorf("status %s, want 403", status)
	}
}
