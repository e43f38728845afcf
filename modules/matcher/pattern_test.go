package matcher

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern string
		fold    bool
		yes, no string // blank-separated
	}{
		{"/a", false, "/a", "/A /a/ /ab a"},
		{"/a/*", false, "/a/ /a/b /a/b/c", "/a /b/a/ /A/x"},
		{"*.png", false, ".png /x.png /a/b.png", "/x.pngx /x.PNG png"},
		{"*x*", false, "x axb /x/", "/X/ abc"},
		{"/a/*/c", false, "/a/b/c /a//c /a/b/b/c /a/c/c", "/a/c /a/b/c/ /a/b"},
		{"/?", false, "/a /é", "/ /ab"},
		{"*??", false, "ab abc éé", "a é"},
		{"a*b*c", false, "abc axbxc abbcc abcbc", "acb ab abcd"},
		{`/\*`, false, "/*", "/a /"},
		{`a\b`, false, `a\b`, "ab"},
		{"**", false, "a /", ""},
		{"*.Example.com", true, "a.example.com a.b.example.com", "example.com xexample.com"},
		{"~^/v[0-9]+/", false, "/v1/ /v22/x", "/v/ /x/v1/"},
		{"~EXAMPLE", true, "an.example.com", "exam"},
	}
	for _, tt := range tests {
		p, err := NewPattern(tt.pattern, tt.fold)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		for _, s := range strings.Fields(tt.yes) {
			if !p.Match([]byte(s)) || !p.MatchString(s) {
				t.Errorf("%s does not match %s", tt.pattern, s)
			}
			if !strings.HasPrefix(s, p.Prefix()) || !strings.HasSuffix(s, p.Suffix()) {
				t.Errorf("%s matches %s, which has not its prefix %q and suffix %q", tt.pattern, s, p.Prefix(), p.Suffix())
			}
		}
		for _, s := range strings.Fields(tt.no) {
			if p.Match([]byte(s)) || p.MatchString(s) {
				t.Errorf("%s matches %s", tt.pattern, s)
			}
		}
	}
}

func TestPatternRefused(t *testing.T) {
	for _, s := range []string{"~", "~(", "~(?=x)", "~" + strings.Repeat("a", maxRegexp+1), "~(a{1000}){1000}"} {
		if _, err := NewPattern(s, false); err == nil {
			t.Errorf("%.20s… is taken", s)
		}
	}
}

// naive is the definition: try every split behind a star.
func naive(glob, s string) bool {
	if glob == "" {
		return s == ""
	}
	switch c := glob[0]; {
	case c == '*':
		for i := 0; i <= len(s); i++ {
			if utf8.ValidString(s[i:]) && naive(glob[1:], s[i:]) {
				return true
			}
		}
		return false
	case c == '?':
		_, n := utf8.DecodeRuneInString(s)
		return n > 0 && naive(glob[1:], s[n:])
	case c == '\\' && len(glob) > 1 && strings.IndexByte(`*?\`, glob[1]) >= 0:
		glob, c = glob[1:], glob[1]
		fallthrough
	default:
		return s != "" && s[0] == c && naive(glob[1:], s[1:])
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"a*b", "*.png", "/img/*", "?*?", `\**`, "a*b*a*", "é?*"} {
		f.Add(s, "/img/a.png")
		f.Add(s, "ababa")
	}
	f.Fuzz(func(t *testing.T, glob, s string) {
		if len(glob) > 0 && glob[0] == '~' {
			p, err := NewPattern(glob, false)
			if err == nil {
				p.Match([]byte(s))
			}
			return
		}
		p, err := NewPattern(glob, false)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Match([]byte(s)) // never panics, whatever the bytes
		if len(glob) > 10 || len(s) > 14 || !utf8.ValidString(glob) || !utf8.ValidString(s) {
			return
		}
		if want := naive(glob, s); got != want {
			t.Errorf("%q against %q: %v, by definition %v", glob, s, got, want)
		}
		if got && (!strings.HasPrefix(s, p.Prefix()) || !strings.HasSuffix(s, p.Suffix())) {
			t.Errorf("%q matches %q, which has not its prefix %q and suffix %q", glob, s, p.Prefix(), p.Suffix())
		}
	})
}

// A glob of many stars against a long string that nearly matches is where
// recursive matchers take forever.
func TestPatternIsNotExponential(t *testing.T) {
	p, err := NewPattern(strings.Repeat("a*", 30)+"b", false)
	if err != nil {
		t.Fatal(err)
	}
	if p.Match([]byte(strings.Repeat("a", 20000))) {
		t.Error("matches without a b")
	}
}
