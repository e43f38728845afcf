package hello

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"slices"
	"strings"
	"testing"
)

// fromTLS gives the hello that crypto/tls sends with a configuration.
func fromTLS(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		_ = tls.Client(theirs, c).Handshake() // fails: nobody answers
		_ = theirs.Close()
	}()
	b := make([]byte, MaxBytes)
	n, err := ours.Read(b) // crypto/tls writes its hello in one piece
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func vec8(b ...byte) []byte   { return append([]byte{byte(len(b))}, b...) }
func vec16(b ...byte) []byte  { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
func join(p ...[]byte) []byte { return slices.Concat(p...) }

func ext(kind uint16, data ...byte) []byte {
	return join(binary.BigEndian.AppendUint16(nil, kind), vec16(data...))
}

func sni(names ...string) []byte {
	var list []byte
	for _, n := range names {
		list = join(list, []byte{0}, vec16([]byte(n)...))
	}
	return ext(extServerName, vec16(list...)...)
}

// handmade builds a ClientHello message around extensions.
func handmade(exts ...[]byte) []byte {
	body := join([]byte{3, 3}, make([]byte, 32), vec8(), vec16(0x13, 0x01), vec8(0))
	if exts != nil {
		body = join(body, vec16(join(exts...)...))
	}
	return join([]byte{typeClientHello, 0}, binary.BigEndian.AppendUint16(nil, uint16(len(body))), body)
}

// records cuts a message into records of at most n bytes.
func records(msg []byte, n int) (out []byte) {
	for p := range slices.Chunk(msg, n) {
		out = append(out, recordHandshake, 3, 1)
		out = append(out, vec16(p...)...)
	}
	return out
}

func TestCryptoTLS(t *testing.T) {
	tests := map[string]struct {
		conf *tls.Config
		want Hello
		min  int // bytes the hello must have, to be sure that the case is what it says
	}{
		"plain": {&tls.Config{ServerName: "Mail.Example.COM"},
			Hello{ServerName: "mail.example.com", Versions: []uint16{tls.VersionTLS13, tls.VersionTLS12}}, 0},
		"alpn": {&tls.Config{ServerName: "a.b", NextProtos: []string{"h2", "http/1.1"}},
			Hello{"a.b", []string{"h2", "http/1.1"}, []uint16{tls.VersionTLS13, tls.VersionTLS12}}, 0},
		"no name": {&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13},
			Hello{Versions: []uint16{tls.VersionTLS13}}, 0},
		"address": {&tls.Config{ServerName: "192.0.2.1"}, // crypto/tls sends no name then
			Hello{Versions: []uint16{tls.VersionTLS13, tls.VersionTLS12}}, 0},
		"1.2": {&tls.Config{ServerName: "old.example", MaxVersion: tls.VersionTLS12},
			Hello{ServerName: "old.example", Versions: []uint16{tls.VersionTLS12}}, 0},
		"post-quantum": {&tls.Config{ServerName: "pq.example", CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}},
			Hello{ServerName: "pq.example", Versions: []uint16{tls.VersionTLS13, tls.VersionTLS12}}, 1184},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := fromTLS(t, tc.conf)
			if len(b) < tc.min {
				t.Fatalf("hello of %d bytes, want at least %d", len(b), tc.min)
			}
			checkPrefixes(t, b, tc.want)
		})
	}
}

// checkPrefixes wants NeedMore, with a need that is never beyond the end, for
// each prefix, and the hello for the whole, however more bytes follow.
func checkPrefixes(t *testing.T, b []byte, want Hello) {
	t.Helper()
	for n := range b {
		_, v, need := Parse(b[:n])
		if v != NeedMore || need <= n || need > len(b) {
			t.Fatalf("%d of %d bytes: verdict %d, need %d", n, len(b), v, need)
		}
	}
	for _, rest := range []string{"", "early data"} {
		h, v, _ := Parse(append(slices.Clone(b), rest...))
		if v != OK || !same(h, want) {
			t.Fatalf("verdict %d, hello %+v; want %+v", v, h, want)
		}
	}
}

func same(a, b Hello) bool {
	return a.ServerName == b.ServerName && slices.Equal(a.ALPN, b.ALPN) && slices.Equal(a.Versions, b.Versions)
}

func TestFragmented(t *testing.T) {
	msg := fromTLS(t, &tls.Config{ServerName: "frag.example", NextProtos: []string{"h2"}})[recordHeader:]
	want := Hello{"frag.example", []string{"h2"}, []uint16{tls.VersionTLS13, tls.VersionTLS12}}
	for _, n := range []int{1, 2, 3, 4, 5, 100, 1000} {
		checkPrefixes(t, records(msg, n), want)
	}
}

func TestVerdicts(t *testing.T) {
	v12 := []uint16{tls.VersionTLS12}
	whole := func(exts ...[]byte) []byte { return records(handmade(exts...), maxRecord) }
	tests := map[string]struct {
		in   []byte
		v    Verdict
		want Hello
	}{
		"nothing":              {nil, NeedMore, Hello{}},
		"http":                 {[]byte("GET / HTTP/1.1\r\n"), NotTLS, Hello{}},
		"one wrong byte":       {[]byte("S"), NotTLS, Hello{}},
		"ssl 2":                {[]byte{0x80, 0x2e, 1, 0, 2}, NotTLS, Hello{}},
		"alert":                {[]byte{21, 3, 1, 0, 2, 1, 0}, NotTLS, Hello{}},
		"empty record":         {[]byte{22, 3, 1, 0, 0}, NotTLS, Hello{}},
		"record too long":      {[]byte{22, 3, 1, 0x40, 1}, NotTLS, Hello{}},
		"server hello":         {records([]byte{2, 0, 0, 0}, 4), NotTLS, Hello{}},
		"message too long":     {records([]byte{1, 0x01, 0, 0}, 4), NotTLS, Hello{}},
		"no extensions":        {whole(), OK, Hello{Versions: v12}},
		"empty extensions":     {whole([]byte{}), OK, Hello{Versions: v12}},
		"trailing dot":         {whole(sni("Example.com.")), OK, Hello{ServerName: "example.com", Versions: v12}},
		"two names":            {whole(sni("a.example", "b.example")), NotTLS, Hello{}},
		"two name extensions":  {whole(sni("a.example"), sni("a.example")), NotTLS, Hello{}},
		"empty name":           {whole(sni("")), NotTLS, Hello{}},
		"newline in name":      {whole(sni("a\nb")), NotTLS, Hello{}},
		"nul in name":          {whole(sni("good.example\x00.bad")), NotTLS, Hello{}},
		"long name":            {whole(sni(strings.Repeat("a", 254))), NotTLS, Hello{}},
		"other type of name":   {whole(ext(0, vec16(join([]byte{9}, vec16('x'))...)...)), OK, Hello{Versions: v12}},
		"grease":               {whole(ext(0x1a1a), ext(43, vec8(0x3a, 0x3a, 3, 4)...), ext(16, vec16(join(vec8(0xca, 0xca), vec8('h', '2'))...)...)), OK, Hello{ALPN: []string{"h2"}, Versions: []uint16{tls.VersionTLS13}}},
		"empty protocol":       {whole(ext(16, vec16(0)...)), NotTLS, Hello{}},
		"odd versions":         {whole(ext(43, vec8(3, 4, 3)...)), NotTLS, Hello{}},
		"bytes after the name": {whole(ext(0, append(vec16(join([]byte{0}, vec16('a'))...), 7)...)), NotTLS, Hello{}},
		"extension cut":        {whole([]byte{0, 0, 0, 9, 1}), NotTLS, Hello{}},
	}
	for name, tc := range tests {
		h, v, _ := Parse(tc.in)
		if v != tc.v || !same(h, tc.want) {
			t.Errorf("%s: verdict %d, %+v; want %d, %+v", name, v, h, tc.v, tc.want)
		}
	}
}

func TestBounded(t *testing.T) {
	// A message that claims to be just short enough, in one-byte records: it must
	// be given up before MaxBytes of stream.
	msg := make([]byte, MaxBytes)
	copy(msg, []byte{typeClientHello, 0, 0x7f, 0})
	b := records(msg, 1)
	if _, v, _ := Parse(b[:MaxBytes+recordHeader]); v != NotTLS {
		t.Errorf("verdict %d beyond the bound, want NotTLS", v)
	}
}

func FuzzParse(f *testing.F) {
	hello := fromTLS(f, &tls.Config{ServerName: "fuzz.example", NextProtos: []string{"h2", "http/1.1"}})
	f.Add(hello, uint8(7))
	f.Add(records(hello[recordHeader:], 50), uint8(1))
	f.Add(records(handmade(sni("a"), ext(16, vec16(vec8('x')...)...)), 9), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		h, v, need := Parse(b)
		if v == NeedMore && (need <= len(b) || need > MaxBytes+recordHeader+maxRecord) {
			t.Fatalf("need %d with %d bytes", need, len(b))
		}
		if v != OK && (h.ServerName != "" || h.ALPN != nil || h.Versions != nil) {
			t.Fatal("a hello without OK")
		}
		if h.ServerName != strings.ToLower(h.ServerName) {
			t.Fatalf("server name %q", h.ServerName)
		}
		// Whoever feeds the bytes piece by piece comes to the same verdict.
		for n := 0; n < len(b); n += int(step) + 1 {
			h1, v1, _ := Parse(b[:n])
			if v1 == NeedMore {
				continue
			}
			if v1 != v || !same(h1, h) {
				t.Fatalf("verdict %d %+v after %d bytes, %d %+v after all %d", v1, h1, n, v, h, len(b))
			}
			break
		}
	})
}

func BenchmarkParse(b *testing.B) {
	msg := fromTLS(b, &tls.Config{ServerName: "bench.example"})
	b.ReportAllocs()
	for b.Loop() {
		if _, v, _ := Parse(msg); v != OK {
			b.Fatal(v)
		}
	}
}
