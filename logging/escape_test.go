package logging

import (
	"bytes"
	"strconv"
	"testing"
)

func TestAppendEscaped(t *testing.T) {
	set := NewSet(`#"`)
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 10, ""},
		{"plain ~", 10, "plain ~"},
		{"a\r\nb\x7f\xff\x00#\"", 99, "a#0D#0Ab#7F#FF#00#23#22"},
		{"abcdef", 3, "abc"},
		{"ab\n", 4, "ab"},
		{"ab\nc", 5, "ab#0A"},
		{"\n\n\n", 8, "#0A#0A"},
		{"x", 0, ""},
		{"\n", 0, ""},
	} {
		if got := string(AppendEscaped(nil, c.in, set, c.limit)); got != c.want {
			t.Errorf("%q within %d: %q, want %q", c.in, c.limit, got, c.want)
		}
		if got := string(AppendEscaped([]byte("head"), []byte(c.in), set, 4+c.limit)); got != "head"+c.want {
			t.Errorf("%q within %d after a head: %q", c.in, c.limit, got)
		}
	}
	if got := string(AppendEscaped([]byte("full"), "x", set, 2)); got != "full" {
		t.Errorf("beyond the limit: %q", got)
	}
}

// FuzzAppendEscaped: the result holds no byte of the set, keeps to the limit, and reads
// back as a prefix of what went in.
func FuzzAppendEscaped(f *testing.F) {
	f.Add([]byte("GET /a\r\nb#22\"\xff"), 100)
	f.Add([]byte("###"), 5)
	set := NewSet(`#"{|}`)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		limit = min(max(limit, 0), 1<<16)
		out := AppendEscaped(nil, in, set, limit)
		if len(out) > limit {
			t.Fatalf("%d bytes, limit %d", len(out), limit)
		}
		var back []byte
		for i := 0; i < len(out); i++ {
			if out[i] != '#' {
				if set[out[i]] {
					t.Fatalf("%q holds %q", out, out[i])
				}
				back = append(back, out[i])
				continue
			}
			n, err := strconv.ParseUint(string(out[i+1:i+3]), 16, 8)
			if err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			back = append(back, byte(n))
			i += 2
		}
		if !bytes.HasPrefix(in, back) || len(back) < len(in) && len(out) < limit-2 {
			t.Fatalf("%q became %q, which reads %q", in, out, back)
		}
	})
}
