package http3

import (
	"strings"
	"testing"

	"github.com/quic-go/quic-go"

	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// What breaks the rules of frames and streams ends the connection with the code
// that RFC 9114 and RFC 9204 name.
func TestConnectionErrors(t *testing.T) {
	h := serve(t, paths, testLimits)
	whole := headers(get("/")...)
	for name, tt := range map[string]struct {
		send func(c *raw)
		want wire.Code
	}{
		"DATA first":          {func(c *raw) { c.open(data("x"), true) }, wire.CodeUnexpected},
		"SETTINGS on request": {func(c *raw) { c.open(frame(wire.FrameSettings, ""), true) }, wire.CodeUnexpected},
		"GOAWAY on request":   {func(c *raw) { c.open(frame(wire.FrameGoAway, "\x00"), true) }, wire.CodeUnexpected},
		"PUSH_PROMISE":        {func(c *raw) { c.open(frame(wire.FramePush, "\x00\x00\x00"), true) }, wire.CodeUnexpected},
		"HTTP/2's PING":       {func(c *raw) { c.open(frame(0x6, "12345678"), true) }, wire.CodeUnexpected},
		"behind trailers":     {func(c *raw) { c.open(headers(post("/")...)+headers("x", "y")+data("z"), true) }, wire.CodeUnexpected},
		"half a frame":        {func(c *raw) { c.open(whole[:len(whole)-2], true) }, wire.CodeFrame},
		"half a body":         {func(c *raw) { c.open(headers(post("/")...)+data("12345")[:4], true) }, wire.CodeFrame},
		"half a frame's head": {func(c *raw) { c.open(headers(post("/")...)+"\x40", true) }, wire.CodeFrame},
		"dynamic table":       {func(c *raw) { c.open(frame(wire.FrameHeaders, "\x02\x00\x80"), true) }, wire.CodeCompression},
		"no such entry":       {func(c *raw) { c.open(frame(wire.FrameHeaders, "\x00\x00\xff\x7f"), true) }, wire.CodeCompression},
		"empty section":       {func(c *raw) { c.open(frame(wire.FrameHeaders, ""), true) }, wire.CodeCompression},
		"table of trailers":   {func(c *raw) { c.open(headers(post("/")...)+frame(wire.FrameHeaders, "\x02\x00\x80"), true) }, wire.CodeCompression},
		"second control":      {func(c *raw) { c.uni(wire.StreamControl, frame(wire.FrameSettings, "")) }, wire.CodeCreation},
		"push stream":         {func(c *raw) { c.uni(wire.StreamPush, "\x00") }, wire.CodeCreation},
		"control ends":        {func(c *raw) { _ = c.control.Close() }, wire.CodeCritical},
		"control is cut":      {func(c *raw) { c.askOften(whole); c.control.CancelWrite(0x100) }, wire.CodeCritical},
		"encoder ends":        {func(c *raw) { _ = c.uni(wire.StreamEncoder, "").Close() }, wire.CodeCritical},
		"settings twice":      {func(c *raw) { c.say(frame(wire.FrameSettings, "")) }, wire.CodeUnexpected},
		"DATA on control":     {func(c *raw) { c.say(data("x")) }, wire.CodeUnexpected},
		"HTTP/2's on control": {func(c *raw) { c.say(frame(0x8, "1234")) }, wire.CodeUnexpected},
		"empty GOAWAY":        {func(c *raw) { c.say(frame(wire.FrameGoAway, "")) }, wire.CodeFrame},
		"long GOAWAY":         {func(c *raw) { c.say(frame(wire.FrameGoAway, "\x00\x00")) }, wire.CodeFrame},
		"CANCEL_PUSH":         {func(c *raw) { c.say(frame(wire.FrameCancel, "\x00")) }, wire.CodeID},
		"GOAWAY goes up":      {func(c *raw) { c.say(frame(wire.FrameGoAway, "\x04") + frame(wire.FrameGoAway, "\x08")) }, wire.CodeID},
		"MAX_PUSH_ID falls":   {func(c *raw) { c.say(frame(wire.FrameMaxPush, "\x05") + frame(wire.FrameMaxPush, "\x04")) }, wire.CodeID},
		"large frame":         {func(c *raw) { c.say(string(wire.AppendFrame(nil, 0x21, 1<<20))) }, wire.CodeLoad},
		"insert":              {func(c *raw) { c.uni(wire.StreamEncoder, "\x41a\x01b") }, wire.CodeEncoderStream},
		"capacity":            {func(c *raw) { c.uni(wire.StreamEncoder, "\x21") }, wire.CodeEncoderStream},
		"acknowledgement":     {func(c *raw) { c.uni(wire.StreamDecoder, "\x80") }, wire.CodeDecoderStream},
		"increment":           {func(c *raw) { c.uni(wire.StreamDecoder, "\x01") }, wire.CodeDecoderStream},
	} {
		t.Run(name, func(t *testing.T) {
			c := h.dial(t)
			tt.send(c)
			c.wantClosed(tt.want)
		})
	}
}

// askOften goes round until the control stream has been read: one that is cut before
// its type has come is no control stream yet, and may be (RFC 9114 §6.2).
func (c *raw) askOften(send string) {
	for range 50 {
		c.ask(send)
	}
}

// say sends on the control stream.
func (c *raw) say(s string) { _, _ = c.control.Write([]byte(s)) }

// The first frame of the control stream is SETTINGS, and they are well formed.
func TestSettings(t *testing.T) {
	h := serve(t, paths, testLimits)
	for name, tt := range map[string]struct {
		send string
		want wire.Code
	}{
		"none":        {frame(wire.FrameMaxPush, "\x00"), wire.CodeNoSettings},
		"twice":       {frame(wire.FrameSettings, "\x06\x05\x06\x05"), wire.CodeSettings},
		"HTTP/2's":    {frame(wire.FrameSettings, "\x04\x05"), wire.CodeSettings},
		"extended 2":  {frame(wire.FrameSettings, "\x08\x02"), wire.CodeSettings},
		"half a pair": {frame(wire.FrameSettings, "\x06"), wire.CodeFrame},
		"many":        {frame(wire.FrameSettings, manySettings()), wire.CodeLoad},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := quic.DialAddr(t.Context(), h.addr, clientTLS, &quic.Config{HandshakeIdleTimeout: guardTime})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = q.CloseWithError(0, "") })
			c := &raw{Conn: q, t: t}
			c.uni(wire.StreamControl, tt.send)
			c.wantClosed(tt.want)
		})
	}
}

func manySettings() string {
	var b []byte
	for i := range 100 {
		b = append(wire.AppendVarint(b, uint64(0x4000+i)), 0)
	}
	return string(b)
}

// What means nothing is passed over, wherever it stands (RFC 9114 §9), and our own
// settings say what there is.
func TestUnknownIsIgnored(t *testing.T) {
	h := serve(t, paths, testLimits)
	c := h.dial(t)
	u, err := c.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, _ := u.Read(buf)
	if want := "\x00\x04\x07\x06\x80\x00\x80\x00\x08\x01"; string(buf[:n]) != want {
		t.Errorf("%q, want %q", buf[:n], want)
	}
	c.say(frame(0x21, "reserved") + frame(wire.FrameMaxPush, "\x05") + frame(0xf0700, "\x00u=1"))
	c.uni(wire.StreamEncoder, "\x20")
	c.uni(wire.StreamDecoder, "\x44\x7f\x80\x01")
	reserved := c.uni(0x21, "nonsense")
	unknown := frame(0x1f*3+0x21, strings.Repeat("x", 5000))
	if g := c.ask(unknown + headers(post("/a")...) + unknown + data("bc") + frame(0x21, "") + headers("x", "y") + unknown); g.body != "/abc" || g.err != nil {
		t.Errorf("%v", g)
	}
	<-reserved.Context().Done() // it is not read
	if g := c.ask(headers(get("/d")...)); g.body != "/d" {
		t.Errorf("%v", g)
	}
}

// A client that makes work and nothing else is told to go, and others are not.
func TestFloods(t *testing.T) {
	h := serve(t, paths, testLimits)
	other := h.dial(t)
	for name, flood := range map[string]func(c *raw){
		"resets": func(c *raw) {
			q, err := c.OpenStreamSync(c.Context())
			if err == nil {
				_, _ = q.Write([]byte(headers(post("/")...)))
				q.CancelWrite(0x10c)
				q.CancelRead(0x10c)
			}
		},
		"frames":    func(c *raw) { c.say(strings.Repeat(frame(0x21, ""), 50)) },
		"malformed": func(c *raw) { c.askLoosely(headers("x", "y")) },
		"empty data": func(c *raw) {
			c.askLoosely(headers(post("/")...) + strings.Repeat(data(""), 500))
		},
		"crumbs":    func(c *raw) { c.askLoosely(headers(post("/")...) + strings.Repeat(data("x"), 500)) },
		"streams":   func(c *raw) { c.uniLoosely(0x21) },
		"cancels":   func(c *raw) { c.say(frame(wire.FrameMaxPush, "\x00")) },
		"no-stream": func(c *raw) { c.askLoosely("") },
	} {
		t.Run(name, func(t *testing.T) {
			c := h.dial(t)
			for c.Context().Err() == nil {
				flood(c)
			}
			c.wantClosed(wire.CodeLoad)
			if g := other.ask(headers(get("/ok")...)); g.body != "/ok" {
				t.Errorf("others: %v", g)
			}
		})
	}
}

// askLoosely sends a request and waits for what becomes of it, if the connection
// still is one.
func (c *raw) askLoosely(send string) {
	q, err := c.OpenStreamSync(c.Context())
	if err != nil {
		return
	}
	_, _ = q.Write([]byte(send))
	_ = q.Close()
	_ = collect(c.t, q)
}

func (c *raw) uniLoosely(kind uint64) {
	u, err := c.OpenUniStreamSync(c.Context())
	if err != nil {
		return
	}
	_, _ = u.Write(wire.AppendVarint(nil, kind))
	_ = u.Close()
}
