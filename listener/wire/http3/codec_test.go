package http3

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/wire/literal"
)

func TestVarint(t *testing.T) {
	for _, v := range []uint64{0, 1, 63, 64, 16383, 16384, 1<<30 - 1, 1 << 30, MaxVarint} {
		b := AppendVarint(nil, v)
		if !bytes.Equal(b, quicvarint.Append(nil, v)) {
			t.Errorf("%d: %x", v, b)
		}
		for n := range b {
			if _, k := Varint(b[:n]); k != 0 {
				t.Errorf("%d is read of %d of %d bytes", v, n, len(b))
			}
		}
		if got, n := Varint(append(b, 0xff)); got != v || n != len(b) {
			t.Errorf("%d: %d, %d bytes", v, got, n)
		}
	}
}

func TestSeal(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 1<<14 - 1, 1 << 14, 100_000} {
		b := append([]byte("before"), Reserve(nil, FrameHeaders)...)
		b = Seal(append(b, bytes.Repeat([]byte("x"), n)...), 6)
		kind, size, k := ParseFrame(b[6:])
		if kind != FrameHeaders || size != uint64(n) || string(b[6+k:]) != strings.Repeat("x", n) || string(b[:6]) != "before" {
			t.Errorf("%d: type %d, size %d, head of %d", n, kind, size, k)
		}
	}
}

// fields decodes a section whole.
func fields(p []byte) (out [][2]string, err error) {
	var d Decoder
	if err := d.Begin(p); err != nil {
		return nil, err
	}
	for d.More() {
		b, n, err := d.Next(nil)
		if err != nil {
			return out, err
		}
		out = append(out, [2]string{string(b[:n]), string(b[n:])})
	}
	return out, nil
}

// theirs decodes a section by quic-go's decoder.
func theirs(p []byte) (out [][2]string, err error) {
	next := qpack.NewDecoder().Decode(p)
	for {
		f, err := next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, [2]string{f.Name, f.Value})
	}
}

// The static table is that of another implementation, and sections mean the same
// to both.
func TestDecode(t *testing.T) {
	for i := range 99 {
		section := literal.AppendInt([]byte{0, 0}, 0xc0, 6, i)
		section = append(literal.AppendInt(section, 0x50, 4, i), 3, 'a', 'b', 'c')
		want, err := theirs(section)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fields(section); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d: %q, %v; want %q", i, got, err, want)
		}
	}
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	var want [][2]string
	for _, f := range [][2]string{
		{":method", "GET"}, {":path", "/"}, {":path", "/long?" + strings.Repeat("x", 300)}, {"cookie", "a=b; c=d"}, {"x-unknown", "Ünïcode"},
		{"x-empty", ""}, {strings.Repeat("n", 200), "\x00\xff"}, {"accept-encoding", "gzip, deflate, br"}, {"set-cookie", "a"},
	} {
		want = append(want, f)
		if err := e.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := fields(b.Bytes()); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, %v", got, err)
	}
	for n := 2; n < b.Len(); n++ { // cut anywhere, it is no longer what it was
		if got, err := fields(b.Bytes()[:n]); err == nil && len(got) >= len(want) {
			t.Errorf("whole at %d of %d bytes", n, b.Len())
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, p := range map[string]string{
		"nothing": "", "half a prefix": "\x00", "a table": "\x01\x00", "dynamic index": "\x00\x00\x81", "dynamic name": "\x00\x00\x41\x01a",
		"behind the base": "\x00\x00\x10", "name behind the base": "\x00\x00\x01\x01a", "index 99": "\x00\x00\xff\x24", "name 99": "\x00\x00\x5f\x54\x01a",
		"no value": "\x00\x00\x51", "short value": "\x00\x00\x51\x05abc", "short name": "\x00\x00\x27\x7fabc", "endless integer": "\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"padding of Huffman": "\x00\x00\x51\x82\xff\xff",
	} {
		if got, err := fields([]byte(p)); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestEncode(t *testing.T) {
	for _, status := range []int{100, 103, 200, 204, 206, 304, 404, 418, 421, 425, 500, 502, 503, 599} {
		got, err := theirs(AppendStatus(AppendSection(nil), status))
		if err != nil || len(got) != 1 || got[0] != [2]string{":status", fmt.Sprint(status)} {
			t.Errorf("%d: %q %v", status, got, err)
		}
	}
	var h flow.Header
	for _, f := range [][2]string{
		{"Content-Type", "text/html"}, {"SET-Cookie", "a=b"}, {"X-Other", "v"}, {"Date", ""}, {"Server", strings.Repeat("s", 200)},
		{strings.Repeat("Long-Name-", 20), "v"}, {"Cookie", "c"}, {"Vary", "x"}, {"Via", "1.1 a"}, {"User-Agent", "u"},
	} {
		h.Add(f[0], f[1])
	}
	b := AppendLength(AppendSection(nil), 12345)
	want := [][2]string{{"content-length", "12345"}}
	for i := range h.Len() {
		id, name, value, _ := h.At(i)
		b = AppendField(b, id, name, value)
		want = append(want, [2]string{strings.ToLower(string(name)), string(value)})
	}
	if got, err := theirs(b); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := fields(b); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "GET"}, {":path", "/a/path"}, {"user-agent", "someone/1.0"}, {"x-field", "some value"}} {
		_ = e.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]})
	}
	var d Decoder
	arena := make([]byte, 0, 1<<10)
	if n := testing.AllocsPerRun(200, func() {
		_ = d.Begin(b.Bytes())
		out := arena[:0]
		for d.More() {
			out, _, _ = d.Next(out)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecode: no bytes make the decoder panic, and what it takes another one takes
// in the same way.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x00\x00\xd1\xc1\x51\x03abc\x27\x01nam"))
	f.Add(AppendStatus(AppendSection(nil), 418))
	f.Add([]byte("\x00\x00\x2f\x02\x9d\x29\xad\x17\x18\x60"))
	f.Fuzz(func(t *testing.T, p []byte) {
		got, err := fields(p)
		want, other := theirs(p)
		// Theirs wants a Base of zero, and takes longer integers.
		if err == nil && other == nil && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q and %q", got, want)
		}
		if err == nil && other != nil && p[1]&0x7f == 0 {
			t.Fatalf("%q taken, by the other: %v", got, other)
		}
	})
}

// FuzzFrame: what is read is what was written.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 5})
	f.Fuzz(func(t *testing.T, p []byte) {
		kind, size, n := ParseFrame(p)
		if n > len(p) {
			t.Fatal(n)
		}
		if n == 0 {
			return
		}
		k, s, m := ParseFrame(AppendFrame(nil, kind, size))
		if k != kind || s != size || m == 0 || m > n {
			t.Fatalf("%d %d, then %d %d", kind, size, k, s)
		}
	})
}

// What could be guessed by how well it compresses is never to be put into a table by
// whoever passes it on (RFC 9204 §7.1.3).
func TestSecretsAreNeverIndexed(t *testing.T) {
	for name, never := range map[string]bool{"Set-Cookie": true, "Cookie": true, "Authorization": true, "Proxy-Authorization": true, "Accept": false, "X-Any": false} {
		b := AppendField(nil, flow.Lookup(name), []byte(name), []byte("value"))
		bit := byte(0x10) // of a literal name
		if b[0]&0x40 != 0 {
			bit = 0x20 // of one in the static table
		}
		if got := b[0]&bit != 0; got != never {
			t.Errorf("%s: %#x", name, b[0])
		}
	}
}

// BenchmarkDecode reads a browser's head.
func BenchmarkDecode(b *testing.B) {
	var buf bytes.Buffer
	e := qpack.NewEncoder(&buf)
	for _, f := range [][2]string{
		{":method", "GET"}, {":scheme", "https"}, {":authority", "www.example.com"}, {":path", "/path/1"},
		{"user-agent", "Mozilla/5.0 (X11; Linux x86_64)"}, {"accept", "text/html,application/xhtml+xml"}, {"accept-language", "en"},
		{"accept-encoding", "gzip, br"}, {"cookie", "session=0123456789abcdef"}, {"x-request-id", "7919"},
	} {
		_ = e.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]})
	}
	arena := make([]byte, 0, 4<<10)
	var d Decoder
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Begin(buf.Bytes())
		for out := arena; d.More(); {
			out, _, _ = d.Next(out)
		}
	}
}
