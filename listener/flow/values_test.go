package flow

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestNextCookie(t *testing.T) {
	tests := map[string]string{
		"":                    "",
		"a=b":                 "a=b",
		"a=b; c=d":            "a=b|c=d",
		" a = b ;\tc;d=;=e;;": "a=b|c=<nil>|d=|=e",
		`a="x=y"; b`:          `a="x=y"|b=<nil>`,
	}
	for in, want := range tests {
		var got []string
		for n, v, rest, ok := NextCookie([]byte(in)); ok; n, v, rest, ok = NextCookie(rest) {
			s := string(v)
			if v == nil {
				s = "<nil>"
			}
			got = append(got, string(n)+"="+s)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Parameters are read as net/url reads them, where it does not refuse them.
func FuzzNextParam(f *testing.F) {
	f.Add("a=1&b=%41+x&c&&=d&e=")
	f.Fuzz(func(t *testing.T, q string) {
		var names, values []string
		for n, v, rest, ok := NextParam([]byte(q)); ok; n, v, rest, ok = NextParam(rest) {
			names = append(names, string(AppendUnescaped(nil, n)))
			values = append(values, string(AppendUnescaped(nil, v)))
			if !EqualUnescaped(n, names[len(names)-1]) || EqualUnescaped(n, names[len(names)-1]+"x") {
				t.Fatalf("%q does not equal what it unescapes to", n)
			}
			if !Escaped(n) && string(n) != names[len(names)-1] {
				t.Fatalf("%q is not escaped but changes", n)
			}
		}
		want, err := url.ParseQuery(q)
		if err != nil {
			return
		}
		got := url.Values{}
		for i := range names {
			got.Add(names[i], values[i])
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %v, want %v", q, got, want)
		}
		for k, v := range want {
			if !slices.Equal(got[k], v) {
				t.Fatalf("%q: %v, want %v", q, got, want)
			}
		}
	})
}
