package literal

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// What is appended is read again, and the examples of RFC 7541 appendix C.1 are as
// they stand there.
func TestInt(t *testing.T) {
	for _, n := range []uint{3, 4, 5, 6, 7, 8} {
		for _, v := range []int{0, 1, 1<<n - 2, 1<<n - 1, 1 << n, 1337, 1 << 20, 1<<28 - 1} {
			b := AppendInt(nil, 0, n, v)
			got, rest, err := Int(append(b, 0xff), n)
			if got != v || len(rest) != 1 || err != nil {
				t.Errorf("%d with %d bits: %x is %d, %v", v, n, b, got, err)
			}
			for i := range b {
				if _, _, err := Int(b[:i], n); err == nil {
					t.Errorf("%x is read of %d bytes", b, i)
				}
			}
		}
	}
	for _, c := range []struct {
		v    int
		n    uint
		want string
	}{{10, 5, "\x0a"}, {1337, 5, "\x1f\x9a\x0a"}, {42, 8, "\x2a"}} {
		if got := AppendInt(nil, 0, c.n, c.v); string(got) != c.want {
			t.Errorf("%d: %x", c.v, got)
		}
	}
	for _, long := range []string{"\x7f\xff\xff\xff\xff\x0f", "\x7f\x80\x80\x80\x80\x00"} {
		if v, _, err := Int([]byte(long), 7); err == nil {
			t.Errorf("%x is taken for %d", long, v)
		}
	}
}

// Strings are read as they were appended, and as x/net codes them.
func TestText(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, s := range []string{"", "a", "www.example.com", string(all), strings.Repeat("x", 5000)} {
		plain := AppendString([]byte("|"), 0, 7, s)
		if out, rest, err := Text([]byte("before "), plain[1:], 7); string(out) != "before "+s || len(rest) > 0 || err != nil {
			t.Errorf("%q: %q, %v", s, out, err)
		}
		coded := hpack.AppendHuffmanString(nil, s)
		coded = AppendString(nil, 0x08, 3, coded)
		if out, rest, err := Text(nil, append(coded, "rest"...), 3); string(out) != s || string(rest) != "rest" || err != nil {
			t.Errorf("%q coded: %q, %q, %v", s, out, rest, err)
		}
	}
	if got := AppendName(nil, 0x20, 3, []byte("X-Long-Name_[@")); string(got) != "\x27\x07x-long-name_[@" {
		t.Errorf("%q", got)
	}
	for name, bad := range map[string]string{"empty": "", "short": "\x05abc", "long length": "\x7f\xff\xff\xff\xff\xff", "EOS": "\x84\xff\xff\xff\xff", "padding": "\x82\xff\xff", "padding of 0": "\x81\x00"} {
		if out, _, err := Text(nil, []byte(bad), 7); err == nil {
			t.Errorf("%s: %q", name, out)
		}
	}
}

// FuzzHuffman compares with x/net.
func FuzzHuffman(f *testing.F) {
	f.Add([]byte("\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"))
	f.Fuzz(func(t *testing.T, p []byte) {
		ours, ok := appendHuffman(nil, p)
		theirs, err := hpack.HuffmanDecodeToString(p)
		if ok != (err == nil) || ok && !bytes.Equal(ours, []byte(theirs)) {
			t.Errorf("%q, %v; x/net: %q, %v", ours, ok, theirs, err)
		}
	})
}
