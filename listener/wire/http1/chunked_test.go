package http1

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// decode runs the decoder over p in pieces of at most n bytes. It gives the
// payload and, at io.EOF, what follows the last chunk.
func decode(p []byte, n int) (body, rest []byte, err error) {
	var c Chunked
	for len(p) > 0 {
		piece := p[:min(n, len(p))]
		for {
			skip, data, err := c.Next(piece)
			body = append(body, piece[skip:skip+data]...)
			p, piece = p[skip+data:], piece[skip+data:]
			if err != nil {
				return body, p, err
			}
			if len(piece) == 0 {
				break
			}
		}
	}
	return body, nil, nil
}

func TestChunked(t *testing.T) {
	for _, tt := range []struct{ in, body, rest string }{
		{"0\r\n\r\n", "", "\r\n"},
		{"5\r\nhello\r\n0\r\n\r\nGET", "hello", "\r\nGET"},
		{"1\r\na\r\n1\r\nb\r\n000\r\n", "ab", ""},
		{"A\r\n0123456789\r\n0\r\n", "0123456789", ""},
		{"a;x=y;z=\"q\"\r\n0123456789\r\n0;last\r\n", "0123456789", ""},
		{"000000000000005\r\nhello\r\n0\r\n", "hello", ""},
	} {
		for n := 1; n <= len(tt.in); n++ {
			body, rest, err := decode([]byte(tt.in), n)
			if err != io.EOF || string(body) != tt.body || string(rest) != tt.rest {
				t.Errorf("%q by %d: %q, %q, %v", tt.in, n, body, rest, err)
			}
		}
	}
}

func TestChunkedRefused(t *testing.T) {
	for _, in := range []string{
		"+5\r\nhello\r\n0\r\n", "-5\r\n", "0x5\r\nhello\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n", "5\t\r\n", "\r\n", "g\r\n",
		"5,\r\n", "FFFFFFFFFFFFFFFFF\r\n", "0000000000000005\r\n", "5;a\x00b\r\n", "5;a\rb\r\n", "5;a\nb\r\n", "5;\x7f\r\n", ";a\r\n",
		"5\nhello\r\n", "5\rhello\r\n", "5\r\nhello\n0\r\n", "5\r\nhello!\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhello\r0\r\n", "0\n\r\n", "0\r\r\n",
		"5;" + strings.Repeat("a", maxExt+1) + "\r\n",
		strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 5),
	} {
		for _, n := range []int{1, 2, 3, len(in)} {
			if _, _, err := decode([]byte(in), n); err != errChunk {
				t.Errorf("%.40q by %d: %v", in, n, err)
			}
		}
	}
}

// Bytes that were taken can be given back.
func TestChunkedUntake(t *testing.T) {
	p := []byte("5\r\nhello\r\n0\r\n")
	var c Chunked
	skip, data, err := c.Next(p)
	if skip != 3 || data != 5 || err != nil {
		t.Fatal(skip, data, err)
	}
	c.Untake(2)
	skip, data, err = c.Next(p[6:])
	if skip != 0 || data != 2 || err != nil {
		t.Fatal(skip, data, err)
	}
	if _, _, err = c.Next(p[8:]); err != io.EOF {
		t.Fatal(err)
	}
}

func TestChunkedReady(t *testing.T) {
	for _, tt := range []struct {
		before, p string
		want      bool
	}{
		{"", "", false}, {"", "5", false}, {"", "5\r\n", false}, {"", "5\r\nh", true}, {"", "x", true},
		{"5\r\nhello", "", false}, {"5\r\nhello", "\r\n", false}, {"5\r\nhello", "\r\n0\r\n", false},
		{"5\r\nhello", "\r\n0\r\nA: b\r\n", false}, {"5\r\nhello", "\r\n0\r\n\r\n", true}, {"5\r\nhello", "\r\n0\r\nA: b\r\n\r\n", true},
		{"5\r\nhello", "\r\n0\r\n\n", true}, {"5\r\nhello", "!", true},
	} {
		var c Chunked
		for p := []byte(tt.before); len(p) > 0; {
			skip, data, err := c.Next(p)
			if err != nil {
				t.Fatal(err)
			}
			p = p[skip+data:]
		}
		if got, again := c.Ready([]byte(tt.p)), c.Ready([]byte(tt.p)); got != tt.want || again != got {
			t.Errorf("%q, then %q: %v", tt.before, tt.p, got)
		}
	}
}

func TestTrailer(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want string
		bad  bool
	}{
		{in: "\r\n", want: "0\r\n\r\n"},
		{in: "A: b\r\nC: d\r\n\r\n", want: "0\r\nA: b\r\nC: d\r\n\r\n"},
		{in: "Content-Length: 50\r\nHost: x\r\nX-A: 1\r\nAuthorization: y\r\nCookie: z\r\nX-Forwarded-For: 1\r\nTE: x\r\nTrailer: y\r\n\r\n", want: "0\r\nX-A: 1\r\n\r\n"},
		{in: "content_length: 50\r\ntransfer_encoding: chunked\r\n\r\n", want: "0\r\n\r\n"},
		{in: "Transfer-Encoding: chunked\r\nSet-Cookie: a=b\r\nLocation: /\r\n\r\n", want: "0\r\n\r\n"},
		{in: "no colon\r\n\r\n", bad: true},
		{in: "A: b\r\n c\r\n\r\n", bad: true},
		{in: "A : b\r\n\r\n", bad: true},
		{in: "A: b\x00\r\n\r\n", bad: true},
		{in: "A: b\rc\r\n\r\n", bad: true},
		{in: strings.Repeat("A: b\r\n", 101) + "\r\n", bad: true},
	} {
		end, _, err := TrailerEnd([]byte(tt.in), 0)
		if err != nil || end != len(tt.in) {
			t.Fatalf("%q: end %d, %v", tt.in, end, err)
		}
		var h flow.Header
		err = ParseTrailer([]byte(tt.in), 100, &h)
		if tt.bad {
			if err != errTrailer {
				t.Errorf("%q: %v", tt.in, err)
			}
			continue
		}
		if got := string(AppendLastChunk(nil, &h)); err != nil || got != tt.want {
			t.Errorf("%q: %q, %v", tt.in, got, err)
		}
	}
	for _, in := range []string{"\n", "A: b\n\r\n", "A: b\r\n\n"} {
		if _, _, err := TrailerEnd([]byte(in), 0); err != errLineEnd {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// However a head is split, its end is found, and looking goes on where it was.
func TestHeadEndSplit(t *testing.T) {
	raw := []byte(get("A: b", "C: d") + "next")
	want := len(raw) - 4
	for n := 1; n <= len(raw); n++ {
		from := 0
		for have := n; ; have = min(have+n, len(raw)) {
			end, next, err := HeadEnd(raw[:have], from)
			if err != nil {
				t.Fatal(n, err)
			}
			if end > 0 {
				if end != want {
					t.Errorf("by %d: end %d, want %d", n, end, want)
				}
				break
			}
			if have == len(raw) {
				t.Fatalf("by %d: no end", n)
			}
			from = next
		}
	}
}

func FuzzChunked(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint64(1))
	f.Add([]byte("a;x=y\r\n0123456789\r\n0;z\r\nA: b\r\n\r\n"), uint64(2))
	f.Add([]byte("FFFFFFFFFFFFFFF\r\n"), uint64(3))
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		body, rest, err := decode(p, len(p)+1)
		// Any split gives the same.
		rnd := rand.New(rand.NewPCG(seed, 0))
		var c Chunked
		var split []byte
		var serr error
		at := 0
		for have := 0; have < len(p) && serr == nil; {
			have = min(len(p), have+1+rnd.IntN(7))
			for at < have && serr == nil {
				var skip, data int
				skip, data, serr = c.Next(p[at:have])
				split = append(split, p[at+skip:at+skip+data]...)
				at += skip + data
			}
		}
		if serr != err || !bytes.Equal(split, body) || err == io.EOF && !bytes.Equal(p[at:], rest) {
			t.Fatalf("whole: %q %v; split: %q %v", body, err, split, serr)
		}
		if err != io.EOF {
			return
		}
		// What is taken, net/http takes, too, and as the same.
		got, herr := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(append(p[:len(p)-len(rest):len(p)-len(rest)], "\r\n"...))))
		if herr != nil || !bytes.Equal(got, body) {
			t.Fatalf("net/http: %q %v, here %q, of %q", got, herr, body, p)
		}
	})
}

func FuzzTrailer(f *testing.F) {
	f.Add([]byte("\r\n"))
	f.Add([]byte("A: b\r\nContent-Length: 5\r\n\r\n"))
	f.Add([]byte("A: b\r\n c\r\n\r\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		end, _, err := TrailerEnd(p, 0)
		if err != nil || end == 0 {
			return
		}
		var h, again flow.Header
		if ParseTrailer(p[:end:end], 100, &h) != nil {
			return
		}
		out := AppendLastChunk(nil, &h)[3:]
		if end, _, err := TrailerEnd(out, 0); err != nil || end != len(out) {
			t.Fatalf("written as %q: end %d, %v", out, end, err)
		}
		if err := ParseTrailer(out, 100, &again); err != nil {
			t.Fatalf("written as %q: %v", out, err)
		}
		if twice := AppendLastChunk(nil, &again)[3:]; !bytes.Equal(out, twice) {
			t.Fatalf("%q, then %q", out, twice)
		}
		for _, id := range []flow.ID{flow.FieldHost, flow.FieldContentLength, flow.FieldTransferEncoding, flow.FieldAuthorization, flow.FieldCookie} {
			if again.HasID(id) {
				t.Fatalf("%s in %q", id.Name(), out)
			}
		}
	})
}

func TestChunkedAllocations(t *testing.T) {
	p := []byte("5;x\r\nhello\r\n0\r\nA: b\r\n\r\n")
	var h flow.Header
	out := make([]byte, 0, 100)
	run := func() {
		var c Chunked
		rest := p
		for {
			skip, data, err := c.Next(rest)
			if rest = rest[skip+data:]; err != nil {
				break
			}
		}
		if err := ParseTrailer(rest, 100, &h); err != nil {
			t.Fatal(err)
		}
		out = AppendLastChunk(AppendChunkSize(out[:0], 255), &h)
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 || string(out) != "ff\r\n0\r\nA: b\r\n\r\n" {
		t.Errorf("%v allocations; %q", n, out)
	}
}
