package flow

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestSetTarget(t *testing.T) {
	tests := []struct{ in, path, target string }{ // target "=": as it came; path "": refused
		{"/", "/", "="},
		{"*", "*", "="},
		{"/?a=/../b", "/", "="},
		{"/a/b.c/d;p=1?q", "/a/b.c/d;p=1", "="},
		{"/%61%2Fb", "/a/b", "="},
		{"//a///b/", "/a/b/", "="},
		{"/.well-known/x", "/.well-known/x", "="},
		{"/...", "/...", "="},
		{"/a/../b", "/b", "/b"},
		{"/a/%2e%2E/b?q=..", "/b", "/b?q=.."},
		{"/a/./b/.", "/a/b/", "/a/b/"},
		{"/a/b/..", "/a/", "/a/"},
		{"/..", "/", "/"},
		{"/../../a", "/a", "/a"},
		{"/.//a/%62", "/a/b", "//a/%62"},
		{"/a//../b", "/a/b", "/a/b"},
		{"/a%3f%23b", "/a?#b", "="},
		{"/é", "/é", "="},
		{"/x/../a?", "/a", "/a?"},
		{"", "", ""}, {"a", "", ""}, {"?a", "", ""}, {"http://x/", "", ""}, {"**", "", ""},
		{"/%", "", ""}, {"/%4", "", ""}, {"/%zz", "", ""}, {"/%00", "", ""}, {"/%5c", "", ""}, {`/a\b`, "", ""},
		{"/a#b", "", ""}, {"/a?b#c", "", ""}, {"/a b", "", ""}, {"/a\tb", "", ""}, {"/a?\x00", "", ""}, {"/\x7f", "", ""},
		{"/a/..;/b", "", ""}, {"/a/.;x/b", "", ""}, {"/a/%2e%2e;/b", "", ""}, {"/a/..%3b/b", "", ""},
		{"/a%2f../b", "", ""}, {"/a/..%2fb", "", ""}, {"/a/%2e%2e%2fb", "", ""}, {"/x%2f%2e/b", "", ""},
	}
	var r Request
	for _, tt := range tests {
		err := r.SetTarget([]byte(tt.in))
		if (tt.path == "") != (err != nil) || err != nil && !errors.Is(err, ErrTarget) {
			t.Errorf("%q: error %v", tt.in, err)
			continue
		}
		if err != nil {
			continue
		}
		want := tt.target
		if want == "=" {
			want = tt.in
		}
		if string(r.Path) != tt.path || string(r.Target) != want {
			t.Errorf("%q: path %q target %q, want %q %q", tt.in, r.Path, r.Target, tt.path, want)
		}
	}
}

func TestStripPrefix(t *testing.T) {
	tests := []struct{ in, prefix, target, path string }{ // path "": refused
		{"/api/x?q", "/api", "/x?q", "/x"},
		{"/api", "/api", "/", "/"},
		{"/api?q", "/api", "/?q", "/"},
		{"/api/", "/api", "/", "/"},
		{"/apix", "/api", "/apix", "/apix"},
		{"/%61pi/a%2Fb", "/api", "/a%2Fb", "/a/b"},
		{"//a//b///c", "/a/b", "/c", "/c"},
		{"/a/../api/x", "/api", "/x", "/x"},
		{"/api//evil.example/x", "/api", "/evil.example/x", "/evil.example/x"},
		{"/a/b%20c/d", "/a/b c", "/d", "/d"},
		{"/api%2Fx", "/api", "", ""},
		{"/é/x", "/é", "/x", "/x"},
	}
	var r Request
	for _, tt := range tests {
		if err := r.SetTarget([]byte(tt.in)); err != nil {
			t.Fatal(tt.in, err)
		}
		_, err := r.StripPrefix(tt.prefix)
		if (err != nil) != (tt.path == "") {
			t.Errorf("%s without %s: %v", tt.in, tt.prefix, err)
		}
		if err == nil && (string(r.Target) != tt.target || string(r.Path) != tt.path) {
			t.Errorf("%s without %s: target %s path %s", tt.in, tt.prefix, r.Target, r.Path)
		}
	}
	// Twice, the second time out of the buffer of the first.
	if err := r.SetTarget([]byte("/a/b/c?q=1")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/a", "/b"} {
		if ok, err := r.StripPrefix(p); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if string(r.Target) != "/c?q=1" || string(r.Query) != "q=1" {
		t.Errorf("target %s query %s", r.Target, r.Query)
	}
}

func TestSetAuthority(t *testing.T) {
	var r Request
	r.Header.Add("host", "old")
	r.Header.Add("A", "b")
	revision := r.Revision()
	if err := r.SetAuthority([]byte("New.Example.com:81")); err != nil {
		t.Fatal(err)
	}
	if string(r.Host) != "new.example.com" || string(r.Authority) != "New.Example.com:81" || string(r.Header.Get("Host")) != "New.Example.com:81" {
		t.Errorf("host %s authority %s field %s", r.Host, r.Authority, r.Header.Get("Host"))
	}
	if r.Revision() == revision {
		t.Error("nobody is told")
	}
	for _, bad := range []string{"", "a b", "a\r\nb", "a/b", "a@b", "a,b", "é"} {
		if r.SetAuthority([]byte(bad)) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// lenient reads a forwarded target as forgiving servers do: everything decoded,
// slashes merged, dots resolved, in the order given.
func lenient(target []byte, order string) string {
	p, _, _ := strings.Cut(string(target), "?")
	for _, step := range order {
		switch step {
		case 'd':
			var b []byte
			for i := 0; i < len(p); i++ {
				c := p[i]
				if c == '%' && i+2 < len(p) && isHex(p[i+1]) && isHex(p[i+2]) {
					c = unhex(p[i+1])<<4 | unhex(p[i+2])
					i += 2
				}
				b = append(b, c)
			}
			p = string(b)
		case 'm':
			for strings.Contains(p, "//") {
				p = strings.ReplaceAll(p, "//", "/")
			}
		case 'r':
			var out []string
			segments := strings.Split(p, "/")
			for i, s := range segments {
				switch {
				case s == "..":
					if len(out) > 1 {
						out = out[:len(out)-1]
					}
				case s != ".":
					out = append(out, s)
					continue
				}
				if i == len(segments)-1 {
					out = append(out, "")
				}
			}
			p = strings.Join(out, "/")
		}
	}
	return p
}

// What is routed on is what every lenient reading of the forwarded bytes gives.
func checkTarget(t *testing.T, r *Request, in string) {
	t.Helper()
	if string(r.Target) == "*" || r.Target[0] == '*' {
		return
	}
	for _, order := range []string{"dm", "drm", "dmr", "rdm", "mdrm", "mrdm", "rmdrm"} {
		if got := lenient(r.Target, order); got != string(r.Path) {
			t.Fatalf("%q: routed as %q, but %q reads as %q (%s)", in, r.Path, r.Target, got, order)
		}
	}
	if bytes.ContainsAny(r.Target, "\\#\x00\r\n ") {
		t.Fatalf("%q: forwards %q", in, r.Target)
	}
}

func FuzzSetTarget(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "//a/.%2e/b", "/%2e%2e/%61?x", "/a%2fb", "/.;/a", "*", "/a/b/../../c/./", "/.//..//a"} {
		f.Add(s, "/a")
		f.Add("/a"+s, "/a")
	}
	f.Fuzz(func(t *testing.T, in, prefix string) {
		var r Request
		if r.SetTarget([]byte(in)) != nil {
			return
		}
		checkTarget(t, &r, in)
		path := string(r.Path)
		again := Request{}
		if err := again.SetTarget(bytes.Clone(r.Target)); err != nil || string(again.Path) != path {
			t.Fatalf("%q: what is forwarded, %q, is read again as %q (%v)", in, r.Target, again.Path, err)
		}
		if again.SetTarget([]byte(prefix)) != nil || string(again.Path) != prefix || len(prefix) < 2 || strings.HasSuffix(prefix, "/") || prefix[0] != '/' {
			return
		}
		ok, err := r.StripPrefix(prefix)
		if err != nil {
			return
		}
		want := path
		if ok {
			if want = strings.TrimPrefix(path, prefix); want == "" {
				want = "/"
			}
		}
		if string(r.Path) != want {
			t.Fatalf("%q without %q is %q, not %q", path, prefix, r.Path, want)
		}
		checkTarget(t, &r, in)
	})
}

func TestTargetAllocations(t *testing.T) {
	var r Request
	in := []byte("/api/%61/../b?q")
	if n := testing.AllocsPerRun(100, func() {
		if r.SetTarget(in) != nil {
			t.Fatal("refused")
		}
		if ok, err := r.StripPrefix("/api"); !ok || err != nil {
			t.Fatal("not stripped")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSetTarget(b *testing.B) {
	var r Request
	for _, s := range []string{"/index.html?a=b", "/a/%62/../c?a=b"} {
		b.Run(s[:3], func(b *testing.B) {
			in := []byte(s)
			for b.Loop() {
				if r.SetTarget(in) != nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
