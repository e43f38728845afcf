package handler

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// disguise writes a path below /admin in another way.
func disguise(r *rand.Rand) string {
	var b strings.Builder
	detour := func() {
		switch r.IntN(7) {
		case 0:
			b.WriteString("/")
		case 1:
			b.WriteString("/" + escapeSome(r, "."))
		case 2:
			b.WriteString("/x/" + escapeSome(r, ".."))
		case 3:
			b.WriteString("/" + escapeSome(r, "..") + "/" + escapeSome(r, "."))
		case 4:
			b.WriteString(escapeSome(r, "/"))
		case 5:
			b.WriteString([]string{"/x/..;/", "/.;", "/%2e%2e%2f", "\\..\\", "/x%2f..", "/%5c..", "/%00", "/..%3b"}[r.IntN(8)])
		}
	}
	detour()
	b.WriteString(escapeSome(r, "/admin"))
	detour()
	b.WriteString(escapeSome(r, "/secret"))
	detour()
	s := b.String()
	if s[0] != '/' {
		s = "/" + s
	}
	return s
}

func escapeSome(r *rand.Rand, s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case r.IntN(4) != 0:
			b.WriteByte(c)
		case r.IntN(2) == 0:
			fmt.Fprintf(&b, "%%%02x", c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// readings are what forgiving servers may take a forwarded target for: decoded,
// slashes merged, dots resolved, in either order.
func readings(target string) []string {
	p, _, _ := strings.Cut(target, "?")
	dec := string(flow.AppendUnescaped(nil, []byte(strings.ReplaceAll(p, "+", "%2B"))))
	return []string{resolve(merge(dec)), merge(resolve(dec)), resolve(dec), merge(dec), merge(resolve(merge(p)))}
}

func merge(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	return p
}

func resolve(p string) string {
	var out []string
	for _, s := range strings.Split(p, "/") {
		switch {
		case s == "..":
			if len(out) > 1 {
				out = out[:len(out)-1]
			}
		case s != ".":
			out = append(out, s)
		}
	}
	return strings.Join(out, "/")
}

// No way of writing a path below /admin/ that some server would understand
// passes by `deny /admin/*`, nor one that a rewrite makes of it.
func TestProtectedPrefix(t *testing.T) {
	admin, err := matcher.Path.New([]config.Value{{Text: "/admin/*"}})
	if err != nil {
		t.Fatal(err)
	}
	strip := build(t, Rewrite, "strip_prefix", "/api")
	add := build(t, Rewrite, "add_prefix", "/admin")
	keep := build(t, Rewrite, "to", "{http.path}")
	r := rand.New(rand.NewPCG(3, 5))
	denied, refusedTargets, stripped := 0, 0, 0
	for range 10000 {
		target := disguise(r)
		steps := []flow.Handler{nil, strip, keep, add}[r.IntN(4)]
		switch steps {
		case strip:
			target = escapeSome(r, "/api") + target
		case add:
			target = strings.TrimPrefix(target, "/admin")
		}
		var x flow.Exchange
		x.Begin(nil, nil)
		if x.Req.SetTarget([]byte(target)) != nil {
			refusedTargets++
			continue
		}
		if steps != nil {
			if _, err := steps.Handle(&x); err != nil {
				refusedTargets++
				continue
			}
			stripped++
		}
		if admin.Match(&x) {
			denied++
			continue
		}
		for _, p := range readings(string(x.Req.Target)) {
			if strings.HasPrefix(p, "/admin/") {
				t.Fatalf("%s passes as %s; a server may read %s as %s", target, x.Req.Path, x.Req.Target, p)
			}
		}
	}
	if denied < 2000 || refusedTargets < 500 || stripped < 2000 {
		t.Errorf("denied %d, refused %d, rewritten %d of 10000: the test shows too little", denied, refusedTargets, stripped)
	}
}
