package persistence

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// bound is an affinity with the Visit of the exchange at hand.
type bound struct {
	Affinity
	v Visit
}

func (b *bound) find(x *flow.Exchange) *upstream.Server {
	b.v.Reset()
	return b.Find(x, &b.v)
}

func (b *bound) bind(x *flow.Exchange, s *upstream.Server) {
	if b.v.direct && string(x.Record.ReqCookie) != s.Cookie { // as the proxy does
		b.v.Moved(&x.Record)
	}
	b.Bind(x, &b.v, s)
}

func serversOf(values ...string) (servers []*upstream.Server) {
	for i, v := range values {
		servers = append(servers, &upstream.Server{Key: upstream.Key{Pool: "p", Name: fmt.Sprintf("s%d", i)},
			Index: i, Weight: 1, Cookie: v, Live: upstream.NewLive()})
	}
	return servers
}

func cookieNode(options ...string) *config.Node {
	n := &config.Node{Word: "persist", Variant: "cookie", Args: []config.Value{{Text: "SRV"}}}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		on := config.Node{Word: name}
		if value != "" {
			d, _ := time.ParseDuration(value)
			on.Args = []config.Value{{Text: value, Int: int64(d)}}
		}
		n.Options = append(n.Options, on)
	}
	return n
}

// cookieOf gives a cookie in insert mode unless the options say another.
func cookieOf(t testing.TB, options ...string) (*bound, []*upstream.Server) {
	t.Helper()
	if !slices.Contains(options, "rewrite") && !slices.Contains(options, "prefix") {
		options = append(options, "insert")
	}
	servers := serversOf("A", "B", "A", "")
	var warnings diag.List
	a, err := newCookie(cookieNode(options...), &Env{Pool: "p", Servers: servers, Warnings: &warnings})
	if err != nil {
		t.Fatal(err)
	}
	return &bound{Affinity: a}, servers
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
		{[]string{"Cookie: SRV=B; SRV=A"}, 0, 'V', ""},
		{[]string{"Cookie: SRV=B; SRV=x"}, -1, 'D', ""},
		{[]string{"Cookie: SRV=A; SRV=B"}, 0, 'V', ""},
		{[]string{"Cookie: a=1;SRV=A;b=2;c=3"}, 0, 'V', "Cookie: a=1; b=2;c=3"},
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
			if s := a.find(x); s != nil {
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
	if s := a.find(exchange("Cookie: SRV=A")); s != servers[2] {
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
		// One without a value has the client forget.
		{nil, "", 3, nil, "Set-Cookie: SRV=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/", 'I'},
		{[]string{"post_only"}, "", 0, nil, "", 'N'},
		{[]string{"post_only"}, "", 0, []string{"Set-Cookie: SRV=own"}, "", 'D'},
		{[]string{"rewrite"}, "", 0, nil, "", 'N'},
		{[]string{"rewrite"}, "", 1, []string{"Set-Cookie: SRV = own ; path=/x"}, "Set-Cookie: SRV = B ; path=/x", 'R'},
		{[]string{"rewrite"}, "", 1, []string{"Set-Cookie: SRV="}, "Set-Cookie: SRV=B", 'R'},
		{[]string{"rewrite"}, "", 3, []string{"Set-Cookie: SRV=own"}, "Set-Cookie: SRV=own", 'P'},
		{[]string{"rewrite", "preserve"}, "", 1, []string{"Set-Cookie: SRV=own"}, "Set-Cookie: SRV=own", 'P'},
		{[]string{"prefix"}, "", 1, []string{"Set-Cookie: a=1", "Set-Cookie: SRV=own; path=/x"}, "Set-Cookie: a=1|Set-Cookie: SRV=B~own; path=/x", 'R'},
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
		a.find(x)
		add(&x.Resp.Header, c.answer)
		a.bind(x, servers[c.server])
		if got := show(&x.Resp.Header); got != c.want || x.Record.CookieOut != c.letter {
			t.Errorf("%q answered by %d with %q: %q %c, want %q %c",
				c.request, c.server, c.answer, got, x.Record.CookieOut, c.want, c.letter)
		}
	}
	a, servers := cookieOf(t, "nocache")
	x := exchange()
	x.Req.Method = "POST"
	a.find(x)
	x.Resp.Header.Add("ETag", "x")
	a.bind(x, servers[0])
	if got := show(&x.Resp.Header); strings.Contains(got, "Cache-Control") {
		t.Errorf("an answer to POST got %q", got)
	}
}

func TestCookiesAllocateNothing(t *testing.T) {
	for _, options := range [][]string{{"nocache"}, {"indirect", "max_idle=1h"}, {"rewrite"}, {"prefix"}} {
		a, servers := cookieOf(t, options...)
		x := exchange()
		run := func() {
			x.Begin(nil, nil)
			x.Req.Method = "GET"
			x.Req.Header.Add("Cookie", "a=1; SRV=A~x; b=2")
			a.find(x)
			x.Resp.Header.Add("Set-Cookie", "SRV=own")
			a.bind(x, servers[1])
		}
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%v: %v allocations", options, n)
		}
	}
}

// What goes on to the server in prefix mode.
func TestPrefix(t *testing.T) {
	for _, c := range []struct {
		cookie string
		want   int
		letter byte
		left   string
	}{
		{"SRV=A~app", 0, 'V', "SRV=app"},
		{"x=1; SRV=A~app; y=2", 0, 'V', "x=1; SRV=app; y=2"},
		{"SRV=A~", 0, 'V', "SRV="},
		{"SRV=A", 0, 'V', "SRV=A"},
		{"SRV=~app", -1, 'I', "SRV=app"},
		{"SRV=Z~a~b", -1, 'I', "SRV=a~b"},
		{"SRV=B~app", -1, 'D', "SRV=app"},
		{"OTHER=A~app", -1, 'N', "OTHER=A~app"},
	} {
		a, servers := cookieOf(t, "prefix")
		servers[1].Live.SetVerdict(upstream.Down, "")
		x := exchange("Cookie: " + c.cookie)
		got := -1
		if s := a.find(x); s != nil {
			got = s.Index
		}
		if left := show(&x.Req.Header); got != c.want || x.Record.CookieIn != c.letter || left != "Cookie: "+c.left {
			t.Errorf("%q: server %d letter %c sent on %q", c.cookie, got, x.Record.CookieIn, left)
		}
	}
}

// Dates in cookies, at a fixed time: synctest's clock begins with 2000.
func TestDates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		at := func(seconds int64) string { return string(appendDate(nil, unitsOf(now+seconds))) }
		idle, life, both := []string{"max_idle=100s"}, []string{"max_life=1000s"}, []string{"max_idle=100s", "max_life=1000s"}
		for _, c := range []struct {
			options []string
			cookie  string
			want    int
			in, out byte
			set     string
		}{
			{idle, "A|" + at(-40), 0, 'V', 'U', "A|" + at(0)},
			{idle, "A|" + at(0), 0, 'V', 'N', ""}, // not past yet
			{idle, "A|" + at(-104), -1, 'E', 'I', "A|" + at(0)},
			{idle, "A|" + at(aDay-4), 0, 'V', 'N', ""}, // a clock that is wrong
			{idle, "A|" + at(aDay+8), -1, 'E', 'I', "A|" + at(0)},
			{idle, "A", 0, 'V', 'U', "A|" + at(0)},
			{idle, "A|xx", 0, 'V', 'U', "A|" + at(0)},
			{idle, "A|!!!!!", 0, 'V', 'U', "A|" + at(0)},
			{life, "A|" + at(0) + "|" + at(-400), 0, 'V', 'N', ""},
			{life, "A|" + at(-8) + "|" + at(-400), 0, 'V', 'U', "A|" + at(0) + "|" + at(-400)},
			{life, "A|" + at(0) + "|" + at(-1004), -1, 'O', 'I', "A|" + at(0) + "|" + at(0)},
			{life, "A|" + at(0), 0, 'V', 'U', "A|" + at(0) + "|" + at(0)},
			{both, "A|" + at(-104) + "|" + at(-1004), -1, 'O', 'I', "A|" + at(0) + "|" + at(0)},
			{nil, "A|" + at(0) + "|" + at(-400), 0, 'V', 'U', "A"}, // the dates are not wanted any more
		} {
			a, servers := cookieOf(t, c.options...)
			x := exchange("Cookie: SRV=" + c.cookie)
			got := -1
			if s := a.find(x); s != nil {
				got = s.Index
			}
			a.Bind(x, &a.v, servers[0])
			set := c.set
			if set != "" {
				set = "Set-Cookie: SRV=" + set + "; path=/"
			}
			if out := show(&x.Resp.Header); got != c.want || x.Record.CookieIn != c.in || x.Record.CookieOut != c.out || out != set {
				t.Errorf("%v %q: server %d %c%c %q, want %d %c%c %q", c.options, c.cookie,
					got, x.Record.CookieIn, x.Record.CookieOut, out, c.want, c.in, c.out, set)
			}
		}
	})
}

// Hidden values show nothing, are the same each time, and differ from pool to
// pool.
func TestHidden(t *testing.T) {
	secret := "hide=0123456789abcdef"
	values := func(pool string) []string {
		servers := serversOf("A", "B", "", "C")
		var warnings diag.List
		a, err := newCookie(cookieNode("insert", secret), &Env{Pool: pool, Servers: servers, Warnings: &warnings})
		if err != nil || len(warnings) != 0 {
			t.Fatal(err, warnings)
		}
		b := &bound{Affinity: a}
		var out []string
		for _, s := range servers {
			x := exchange()
			b.find(x)
			b.bind(x, s)
			line := string(x.Resp.Header.Get("Set-Cookie"))
			value, _, _ := strings.Cut(strings.TrimPrefix(line, "SRV="), ";")
			out = append(out, value)
			back := exchange("Cookie: SRV=" + value)
			if got := b.find(back); got != s {
				t.Errorf("%q leads to %v, not to %s", value, got, s.Name)
			}
		}
		return out
	}
	one, again, other := values("one"), values("one"), values("other")
	seen := map[string]bool{}
	for i, v := range one {
		if v != again[i] || v == other[i] || seen[v] || len(v) != 16 || strings.Contains(v, "=") {
			t.Errorf("value %d: %q, %q, in another pool %q", i, v, again[i], other[i])
		}
		seen[v] = true
	}
}

func TestCookieRefusals(t *testing.T) {
	for _, c := range []struct{ options, want string }{
		{"", "who makes the cookie"},
		{"insert prefix", "exclude each other"},
		{"rewrite indirect", "with insert"},
		{"prefix max_idle=3s", "with insert"},
		{"insert domain=a;b", "is no domain"},
		{"insert hide=short", "at least 16"},
	} {
		var warnings diag.List
		_, err := newCookie(cookieNode(strings.Fields(c.options)...), &Env{Servers: serversOf("A"), Warnings: &warnings})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.options, err, c.want)
		}
	}
	for _, value := range []string{"a b", "a;b", "a~b", "a|b"} {
		var warnings diag.List
		if _, err := newCookie(cookieNode("insert"), &Env{Servers: serversOf(value), Warnings: &warnings}); err == nil {
			t.Errorf("the value %q was taken", value)
		}
	}
}

// Values that are missing or shared by mistake are said; a backup may share one.
func TestCookieWarnings(t *testing.T) {
	servers := serversOf("A", "", "A", "A", "")
	servers[3].Backup, servers[4].Backup = true, true
	for i, s := range servers {
		s.Range.Start.Line = i + 1
	}
	var warnings diag.List
	if _, err := newCookie(cookieNode("insert"), &Env{Servers: servers, Warnings: &warnings}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range warnings {
		got = append(got, fmt.Sprintf("%d:%s:%s", d.Range.Start.Line, d.Severity, d.Rule))
	}
	if want := "[2:warning:cookie-without-values 3:warning:cookie-shared]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
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
		a.find(x)
		// What is sent on names no server any more, and looking again finds nothing.
		if s := a.find(x); s != nil || x.Record.CookieIn != 'N' {
			t.Errorf("%q: found %v again in %q", value, s, show(&x.Req.Header))
		}
	})
}
