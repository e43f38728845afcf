package http3

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// said is a frame.
func said(kind uint64, payload string) string {
	return string(AppendFrame(nil, kind, uint64(len(payload)))) + payload
}

// What the other side may say, and the code that RFC 9114 and RFC 9204 have for what
// it may not: as a server hears it of a client, and a client of a server.
func TestPeer(t *testing.T) {
	hello := "\x00" + said(FrameSettings, "")
	many := ""
	for i := range maxSettings + 1 {
		many += string(AppendVarint(nil, uint64(0x4000+i))) + "\x00"
	}
	for name, tt := range map[string]struct {
		stream             string
		ofClient, ofServer Code
	}{
		"nothing":             {"", 0, 0},
		"half a type":         {"\x40", 0, 0},
		"settings":            {hello, 0, 0},
		"pushes":              {"\x01\x00", CodeCreation, CodeID},
		"no settings":         {"\x00" + said(FrameGoAway, "\x00"), CodeNoSettings, CodeNoSettings},
		"settings twice":      {hello + said(FrameSettings, ""), CodeUnexpected, CodeUnexpected},
		"one setting twice":   {"\x00" + said(FrameSettings, "\x06\x05\x06\x05"), CodeSettings, CodeSettings},
		"HTTP/2's setting":    {"\x00" + said(FrameSettings, "\x04\x05"), CodeSettings, CodeSettings},
		"extended CONNECT, 2": {"\x00" + said(FrameSettings, "\x08\x02"), CodeSettings, CodeSettings},
		"half a setting":      {"\x00" + said(FrameSettings, "\x06"), CodeFrame, CodeFrame},
		"many settings":       {"\x00" + said(FrameSettings, many), CodeLoad, CodeLoad},
		"DATA":                {hello + said(FrameData, "x"), CodeUnexpected, CodeUnexpected},
		"HEADERS":             {hello + said(FrameHeaders, "x"), CodeUnexpected, CodeUnexpected},
		"HTTP/2's PING":       {hello + said(6, "12345678"), CodeUnexpected, CodeUnexpected},
		"large":               {hello + string(AppendFrame(nil, 0x21, 1<<20)), CodeLoad, CodeLoad},
		"unknown":             {hello + said(0x21, strings.Repeat("x", 1000)), 0, 0},
		"MAX_PUSH_ID":         {hello + said(FrameMaxPush, "\x05") + said(FrameMaxPush, "\x05"), 0, CodeUnexpected},
		"MAX_PUSH_ID falls":   {hello + said(FrameMaxPush, "\x05") + said(FrameMaxPush, "\x04"), CodeID, CodeUnexpected},
		"CANCEL_PUSH":         {hello + said(FrameCancel, "\x00"), CodeID, CodeID},
		"GOAWAY":              {hello + said(FrameGoAway, "\x08") + said(FrameGoAway, "\x08") + said(FrameGoAway, "\x04"), 0, 0},
		"GOAWAY goes up":      {hello + said(FrameGoAway, "\x04") + said(FrameGoAway, "\x08"), CodeID, CodeID},
		"GOAWAY of a push":    {hello + said(FrameGoAway, "\x03"), 0, CodeID},
		"GOAWAY of nothing":   {hello + said(FrameGoAway, ""), CodeFrame, CodeFrame},
		"GOAWAY and more":     {hello + said(FrameGoAway, "\x00\x00"), CodeFrame, CodeFrame},
		"capacity 0":          {"\x02\x20\x20", 0, 0},
		"capacity 1":          {"\x02\x21", CodeEncoderStream, CodeEncoderStream},
		"insert":              {"\x02\x41a\x01b", CodeEncoderStream, CodeEncoderStream},
		"cancelled streams":   {"\x03\x44\x7f\x80\x01", 0, 0},
		"acknowledgement":     {"\x03\x80", CodeDecoderStream, CodeDecoderStream},
		"increment":           {"\x03\x01", CodeDecoderStream, CodeDecoderStream},
		"endless integer":     {"\x03\x7f" + strings.Repeat("\xff", 20), CodeDecoderStream, CodeDecoderStream},
	} {
		for _, server := range []bool{false, true} {
			want := tt.ofClient
			if server {
				want = tt.ofServer
			}
			p := &Peer{Server: server, Spend: func(uint64) bool { return true }}
			e, err := p.Listen(iotest.OneByteReader(strings.NewReader(tt.stream)))
			if e != want {
				t.Errorf("%s, of a server %v: %#x, want %#x", name, server, e, want)
			}
			if typed := len(tt.stream) > 1 && e == 0; typed != (err == io.EOF) {
				t.Errorf("%s: ends with %v", name, err)
			}
		}
	}
}

// What is told of, and that each frame is paid for.
func TestPeerTells(t *testing.T) {
	var settings []Settings
	var away []uint64
	left := 4
	p := &Peer{
		Settings: func(s Settings) { settings = append(settings, s) }, GoAway: func(id uint64) { away = append(away, id) },
		Spend: func(stream uint64) bool { left--; return left > 0 && stream == StreamControl },
	}
	both := Settings{HeadBytes: 32 << 10, Extended: true}
	stream := AppendGoAway(AppendGoAway(AppendControl(nil, both), 1<<20), 8)
	e, err := p.Listen(strings.NewReader(string(stream)))
	if e != 0 || err != io.EOF || len(settings) != 1 || settings[0] != both || len(away) != 2 || away[0] != 1<<20 || away[1] != 8 {
		t.Errorf("%#x, %v: %+v, %v", e, err, settings, away)
	}
	if e, _ := p.Listen(strings.NewReader(string(stream))); e != CodeCreation {
		t.Errorf("a second control stream: %#x", e)
	}
	if e, _ := p.Listen(strings.NewReader("\x02\x20")); e != CodeLoad {
		t.Errorf("one too many: %#x", e)
	}
	if _, err := p.Listen(strings.NewReader("\x21nonsense")); err != ErrForeign {
		t.Errorf("a foreign stream: %v", err)
	}
	broken := errors.New("broken")
	if _, err := p.Listen(io.MultiReader(strings.NewReader("\x03\x44"), iotest.ErrReader(broken))); err != nil {
		t.Errorf("what could not be paid for: %v", err)
	}
	rich := &Peer{Spend: func(uint64) bool { return true }}
	if e, err := rich.Listen(io.MultiReader(strings.NewReader("\x03\x44"), iotest.ErrReader(broken))); e != 0 || err != broken {
		t.Errorf("%#x, %v", e, err)
	}
}

// FuzzPeer: no bytes of a stream make it panic, or take more of them than are paid for.
func FuzzPeer(f *testing.F) {
	f.Add("\x00"+said(FrameSettings, "\x06\x05")+said(FrameGoAway, "\x04"), true)
	f.Add("\x02\x20", false)
	f.Add("\x03\x7f\x80\x01", false)
	f.Fuzz(func(t *testing.T, stream string, server bool) {
		paid := 0
		p := &Peer{Server: server, Spend: func(uint64) bool { paid++; return paid < 100 }}
		if e, _ := p.Listen(strings.NewReader(stream)); paid > 100 || paid == 100 && e != CodeLoad {
			t.Errorf("%d paid, %#x", paid, e)
		}
	})
}
