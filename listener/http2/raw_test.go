package http2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// raw is a client that sends any frames.
type raw struct {
	net.Conn
	*http2.Framer
	t   testing.TB
	enc *hpack.Encoder
	buf bytes.Buffer
	dec *hpack.Decoder
}

// dialRaw connects and sends preface and settings.
func (h *host) dialRaw(t testing.TB) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(guardTime))
	c := &raw{Conn: nc, Framer: http2.NewFramer(nc, nc), t: t, dec: hpack.NewDecoder(4096, nil)}
	c.enc = hpack.NewEncoder(&c.buf)
	c.AllowIllegalWrites = true
	_, _ = io.WriteString(nc, h2.Preface)
	_ = c.WriteSettings()
	return c
}

// block encodes fields given as name, value, name, value.
func (c *raw) block(fields ...string) []byte {
	c.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(c.buf.Bytes())
}

// open sends a request's head, in as many frames as it needs.
func (c *raw) open(id uint32, end bool, fields ...string) {
	block := c.block(fields...)
	first := block[:min(len(block), h2.MaxFrame)]
	rest := block[len(first):]
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(rest) == 0})
	for len(rest) > 0 {
		n := min(len(rest), h2.MaxFrame)
		_ = c.WriteContinuation(id, n == len(rest), rest[:n])
		rest = rest[n:]
	}
}

// got is what came for a stream.
type got struct {
	status  []string // interim ones first
	header  map[string]string
	body    string
	trailer map[string]string
	ended   bool
	reset   http2.ErrCode
	cut     bool
}

// collect reads until the stream has ended or was reset; frames of other streams
// are passed over.
func (c *raw) collect(id uint32) *got {
	c.t.Helper()
	g := &got{}
	for !g.ended && !g.cut {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("stream %d: %v (%+v)", id, err, g)
		}
		c.take(f, id, g)
	}
	return g
}

func (c *raw) take(f http2.Frame, id uint32, g *got) {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			_ = c.WriteSettingsAck()
		}
	case *http2.GoAwayFrame:
		if f.ErrCode != 0 {
			c.t.Fatalf("GOAWAY %v", f.ErrCode)
		}
	case *http2.HeadersFrame:
		fields, err := c.dec.DecodeFull(f.HeaderBlockFragment())
		if err != nil {
			c.t.Fatal(err)
		}
		if f.StreamID != id {
			return
		}
		m := map[string]string{}
		for _, hf := range fields {
			if m[hf.Name] = hf.Value; hf.Name == ":status" {
				g.status = append(g.status, hf.Value)
			}
		}
		if m[":status"] != "" {
			g.header = m
		} else {
			g.trailer = m
		}
		g.ended = f.StreamEnded()
	case *http2.DataFrame:
		if f.StreamID != id {
			return
		}
		g.body += string(f.Data())
		g.ended = f.StreamEnded()
	case *http2.RSTStreamFrame:
		if f.StreamID == id {
			g.cut, g.reset = true, f.ErrCode
		}
	}
}

// away reads until the connection ends and gives GOAWAY's code; ok is false
// without one.
func (c *raw) away() (e http2.ErrCode, ok bool) {
	c.t.Helper()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				c.t.Fatal("the connection stays")
			}
			return e, ok
		}
		if g, is := f.(*http2.GoAwayFrame); is {
			e, ok = g.ErrCode, true
		}
	}
}

// frames is a flood's unit: raw bytes of a frame.
func frameBytes(kind, flags byte, id uint32, payload string) string {
	return string(append(h2.AppendFrame(nil, len(payload), kind, flags, id), payload...))
}

// Each flood makes the connection end with ENHANCE_YOUR_CALM, soon.
func TestFloods(t *testing.T) {
	h := serve(t, false, paths, testLimits)
	var enc hpack.Encoder
	_ = enc
	window := string(binary.BigEndian.AppendUint32(nil, 1))
	floods := map[string]func(c *raw, i int) string{
		"ping":       func(*raw, int) string { return frameBytes(h2.TypePing, 0, 0, "12345678") },
		"settings":   func(*raw, int) string { return frameBytes(h2.TypeSettings, 0, 0, "") },
		"unknown":    func(*raw, int) string { return frameBytes(0x77, 0, 0, "") },
		"priority":   func(*raw, int) string { return frameBytes(h2.TypePriority, 0, 1, "\x00\x00\x00\x03\x01") },
		"window":     func(*raw, int) string { return frameBytes(h2.TypeWindow, 0, 0, window) },
		"empty data": func(*raw, int) string { return frameBytes(h2.TypeData, 0, 1, "") },
		"rapid reset": func(c *raw, i int) string {
			id := uint32(2*i + 3)
			return frameBytes(h2.TypeHeaders, h2.FlagEndStream|h2.FlagEndHeaders, id, string(c.block(get("/")...))) + frameBytes(h2.TypeReset, 0, id, "\x00\x00\x00\x08")
		},
		"made you reset": func(c *raw, i int) string {
			id := uint32(2*i + 3)
			return frameBytes(h2.TypeHeaders, h2.FlagEndHeaders, id, string(c.block(post("/")...))) + frameBytes(h2.TypeWindow, 0, id, "\x00\x00\x00\x00")
		},
		"malformed": func(c *raw, i int) string {
			return frameBytes(h2.TypeHeaders, h2.FlagEndHeaders|h2.FlagEndStream, uint32(2*i+3), string(c.block("bad", "x"))) + frameBytes(h2.TypeReset, 0, uint32(2*i+3), "\x00\x00\x00\x08")
		},
		"continuation": func(c *raw, i int) string {
			if i == 0 {
				return frameBytes(h2.TypeHeaders, h2.FlagEndStream, 3, "")
			}
			return frameBytes(h2.TypeContinuation, 0, 3, "")
		},
	}
	for name, unit := range floods {
		t.Run(name, func(t *testing.T) {
			c := h.dialRaw(t)
			c.open(1, false, post("/wait")...)
			go func() {
				for i := range 200_000 {
					if _, err := io.WriteString(c.Conn, unit(c, i)); err != nil {
						return
					}
				}
			}()
			if e, ok := c.away(); ok && e != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("GOAWAY with %v", e)
			}
		})
	}
	// Others are served.
	c := h.dialRaw(t)
	c.open(1, true, get("/after")...)
	if g := c.collect(1); g.body != "/after" {
		t.Errorf("%+v", g)
	}
}

// Heads that are too large are refused with 431, and the connection goes on.
func TestHeadTooLarge(t *testing.T) {
	h := serve(t, false, paths, testLimits)
	c := h.dialRaw(t)
	c.open(1, true, get("/", "x", strings.Repeat("x", 12_000))...) // indexed: a bomb's fuse
	if g := c.collect(1); g.body != "/" {
		t.Errorf("%+v", g)
	}
	many := get("/")
	for range 101 {
		many = append(many, "x", "y")
	}
	bomb := get("/")
	for range 99 {
		bomb = append(bomb, "y", strings.Repeat("y", 3_000))
	}
	for i, f := range [][]string{many, bomb} {
		id := uint32(2*i + 3)
		c.open(id, true, f...)
		if g := c.collect(id); len(g.status) != 1 || g.status[0] != "431" {
			t.Errorf("case %d: %+v", i, g.status)
		}
	}
	c.open(9, true, get("/again")...)
	if g := c.collect(9); g.body != "/again" {
		t.Errorf("%+v", g)
	}
}
