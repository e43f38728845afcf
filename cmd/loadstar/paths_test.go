package main_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// TestProtectedPrefix: however a client writes a path, the route that was
// decided on and the bytes that are forwarded mean the same. A rule protects
// /admin; nothing that a server could take for /admin/… may get past it, be it
// rewritten on the way or not.
func TestProtectedPrefix(t *testing.T) {
	t.Parallel()
	o := e2e.NewOrigin(t, nil)
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, fmt.Sprintf(`http://:%d {
	log off
	@secret path /admin /admin/*
	deny @secret 403
	@prefixed path /app/*
	rewrite @prefixed strip_prefix /app
	deny @secret 403
	proxy web
}

pool web {
	server one 127.0.0.1:%d
}
`, port, o.Port), port)

	rng := rand.New(rand.NewPCG(1, 2)) // the same cases each time
	rounds := 10000
	if testing.Short() {
		rounds = 1000
	}
	allowed := 0
	c := e2e.Dial(t, port)
	for range rounds {
		target := disguise(rng)
		c.Send("GET " + target + " HTTP/1.1\r\nHost: www.example\r\n\r\n")
		a := c.Answer("GET")
		if a.Status == 0 {
			t.Fatalf("%s: no answer (%v)", target, a.Err)
		}
		if a.Close {
			c.Close()
			c = e2e.Dial(t, port)
		}
		messages, broken := o.Take()
		if len(broken) > 0 {
			t.Fatalf("%s was forwarded as %q", target, broken)
		}
		for _, m := range messages {
			allowed++
			if meansAdmin(m.Target) {
				t.Errorf("%s was forwarded as %s", target, m.Target)
			}
		}
	}
	if allowed == 0 || allowed == rounds {
		t.Errorf("%d of %d were let through: the cases say nothing", allowed, rounds)
	}
}

// disguise writes a path at or near /admin in one of many ways.
func disguise(rng *rand.Rand) string {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	var b strings.Builder
	if rng.IntN(3) == 0 {
		b.WriteString(pick("/app", "/app/", "/%61pp", "/app/.", "/app/x/..", "/app%2f"))
	}
	for range rng.IntN(3) {
		b.WriteString(pick("/x/..", "/.", "/", "/%2e", "/x/%2e%2e", "/x/.%2E", "//", "/;", "/public", "/x%2f..", "/%2e%2e"))
	}
	b.WriteByte('/')
	for _, r := range pick("admin", "admin", "admin", "admina", "public") {
		switch rng.IntN(8) {
		case 0:
			fmt.Fprintf(&b, "%%%02x", r)
		case 1:
			fmt.Fprintf(&b, "%%%02X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString(pick("", "/", "/users", "%2fusers", "/.", "/../admin/", "/x/../users", "//users", "/%2e%2e/public", "?a=/../b"))
	return b.String()
}

// meansAdmin reads a path as freely as any server might: decoded, with dot
// segments resolved and empty ones dropped.
func meansAdmin(target string) bool {
	raw, _, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return true // nothing that cannot be decoded should be forwarded
	}
	clean := path.Clean("/" + decoded)
	return clean == "/admin" || strings.HasPrefix(clean, "/admin/")
}
