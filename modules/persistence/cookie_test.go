package persistence

import (
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

func cookieOf(t *testing.T, options ...string) (Affinity, []*upstream.Server) {
	t.Helper()
	var servers []*upstream.Server
	for i, v := range []string{"A", "B", "A", ""} {
		servers = append(servers, &upstream.Server{Index: i, Weight: 1, Cookie: v, Live: upstream.NewLive()})
	}
	n := &config.Node{Word: "persist", Variant: "cookie", Args: []config.Value{{Text: "SRV"}}}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		on := config.Node{Word: name}
		if value != "" {
			on.Args = []config.Value{{Text: value}}
		}
		n.Options = append(n.Options, on)
	}
	a, err := newCookie(n, servers)
	if err != nil {
		t.Fatal(err)
	}
	return a, servers
}

func exchange(fields ...string) *flow.Exchange {
	x := &flow.Exchange{}
	x.Req.Method = "GET"
	add(&x.Req.Header, fields)
	return x
}

func add(h *flow.Header, fields []string) {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(name, value)
	}
}

func show(h *flow.Header) string {
	var out []string
	for n, v := range h.All() {
		out = append(out, string(n)+": "+string(v))
	}
	return strings.Join(out, "|")
}

// The rules of the behaviour reference, section Cookies. Server 1 is down.
func TestFind(t *testing.T) {
	for _, c := range []struct {
		cookies []string
		want    int // server, -1: none
		letter  byte
		left    string // with indirect
	}{
		{nil, -1, 'N', ""},
		{[]string{"Cookie: a=1"}, -1, 'N', "Cookie: a=1"},
		{[]string{"Cookie: SRV=A"}, 0, 'V', ""},
		{[]string{"Cookie: srv=A"}, -1, 'N', "Cookie: srv=A"},
		{[]string{"Cookie: XSRV=A"}, -1, 'N', "Cookie: XSRV=A"},
		{[]string{"Cookie: a=1; SRV=A; b=2"}, 0, 'V', "Cookie: a=1; b=2"},
		{[]string{"Cookie: SRV=A; b=2"}, 0, 'V', "Cookie: b=2"},
		{[]string{"Cookie: a=1; SRV=A"}, 0, 'V', "Cookie: a=1"},
		{[]string{"Cookie: SRV=nobody"}, -1, 'I', ""},
		{[]string{"Cookie: SRV="}, -1, 'I', ""},
		{[]string{"Cookie: SRV"}, -1, 'N', "Cookie: SRV"},
		{[]string{"Cookie: SRV=B"}, -1, 'D', ""},
		{[]string{"Cookie: SRV=nobody; SRV=A"}, 0, 'V', ""},
		{[]string{"Cookie: SRV=nobody", "X: y", "Cookie: SRV=A; c=3"}, 0, 'V', "X: y|Cookie: c=3"},
		{[]string{"Cookie: ;;; SRV=A;"}, 0, 'V', ""},
	} {
		for _, indirect := range []bool{false, true} {
			var options []string
			if indirect {
				options = []string{"indirect"}
			}
			a, servers := cookieOf(t, options...)
			servers[1].Live.SetVerdict(upstream.Down, "")
			x := exchange(c.cookies...)
			before := show(&x.Req.Header)
			got := -1
			if s := a.Find(x); s != nil {
				got = s.Index
			}
			if got != c.want || x.Record.CookieIn != c.letter {
				t.Errorf("%q: server %d letter %c, want %d %c", c.cookies, got, x.Record.CookieIn, c.want, c.letter)
			}
			left := show(&x.Req.Header)
			if indirect && left != c.left || !indirect && left != before {
				t.Errorf("%q indirect %v: sent on %q, want %q", c.cookies, indirect, left, c.left)
			}
		}
	}
}

// Of servers that share a value, the first that is up gets the client; one that
// is drained still does.
func TestFindSharedAndDrained(t *testing.T) {
	a, servers := cookieOf(t)
	servers[0].Live.SetVerdict(upstream.Down, "")
	servers[2].Weight = 0
	if s := a.Find(exchange("Cookie: SRV=A")); s != servers[2] {
		t.Errorf("got %v", s)
	}
}

func TestBind(t *testing.T) {
	for _, c := range []struct {
		options []string
		request string
		server  int
		answer  []string
		want    string
		letter  byte
	}{
		{nil, "", 0, nil, "Set-Cookie: SRV=A; path=/", 'I'},
		{nil, "Cookie: SRV=A", 0, nil, "", 'N'},
		{nil, "Cookie: SRV=A", 2, nil, "", 'N'}, // shares the value
		{nil, "Cookie: SRV=A", 1, nil, "Set-Cookie: SRV=B; path=/", 'I'},
		{nil, "Cookie: SRV=x", 1, nil, "Set-Cookie: SRV=B; path=/", 'I'},
		{nil, "", 3, nil, "", 'N'}, // has no value
		{[]string{"domain=.a.example", "domain=.b.example", "httponly", "secure"}, "", 0, nil,
			"Set-Cookie: SRV=A; path=/; domain=.a.example; domain=.b.example; HttpOnly; Secure", 'I'},
		{nil, "", 0, []string{"Set-Cookie: SRV=own; path=/x", "Set-Cookie: b=2"},
			"Set-Cookie: b=2|Set-Cookie: SRV=A; path=/", 'I'},
		{nil, "Cookie: SRV=A", 0, []string{"Set-Cookie: SRV=own"}, "", 'D'},
		{[]string{"preserve"}, "", 0, []string{"Set-Cookie: SRV=own"}, "Set-Cookie: SRV=own", 'P'},
		// nocache: only with a cookie inserted and an answer that looks cacheable.
		{[]string{"nocache"}, "", 0, nil, "Set-Cookie: SRV=A; path=/", 'I'},
		{[]string{"nocache"}, "", 0, []string{"ETag: x"}, "ETag: x|Set-Cookie: SRV=A; path=/|Cache-Control: private", 'I'},
		{[]string{"nocache"}, "Cookie: SRV=A", 0, []string{"ETag: x"}, "ETag: x", 'N'},
		{[]string{"nocache"}, "", 0, []string{"Cache-Control: max-age=5, no-store"},
			"Cache-Control: max-age=5, no-store|Set-Cookie: SRV=A; path=/", 'I'},
		{[]string{"nocache"}, "", 0, []string{"Cache-Control: Public"},
			"Cache-Control: Public|Set-Cookie: SRV=A; path=/|Cache-Control: private", 'I'},
	} {
		a, servers := cookieOf(t, c.options...)
		x := exchange()
		if c.request != "" {
			add(&x.Req.Header, []string{c.request})
		}
		a.Find(x)
		add(&x.Resp.Header, c.answer)
		a.Bind(x, servers[c.server])
		if got := show(&x.Resp.Header); got != c.want || x.Record.CookieOut != c.letter {
			t.Errorf("%q answered by %d with %q: %q %c, want %q %c",
				c.request, c.server, c.answer, got, x.Record.CookieOut, c.want, c.letter)
		}
	}
	a, servers := cookieOf(t, "nocache")
	x := exchange()
	x.Req.Method = "POST"
	a.Find(x)
	x.Resp.Header.Add("ETag", "x")
	a.Bind(x, servers[0])
	if got := show(&x.Resp.Header); strings.Contains(got, "Cache-Control") {
		t.Errorf("an answer to POST got %q", got)
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	a, servers := cookieOf(t, "nocache")
	x := exchange("Cookie: a=1; SRV=A; b=2")
	if n := testing.AllocsPerRun(100, func() { a.Find(x); a.Bind(x, servers[0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{"", "SRV=A", "a=1; SRV=B;;", "SRV", "=;=", "SRV=A; SRV=A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		a, _ := cookieOf(t, "indirect")
		x := exchange()
		x.Req.Header.Add("Cookie", value)
		a.Find(x)
		// What is sent on names no server any more, and looking again finds nothing.
		if s := a.Find(x); s != nil || x.Record.CookieIn != 'N' {
			t.Errorf("%q: found %v again in %q", value, s, show(&x.Req.Header))
		}
	})
}
