package matcher

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

var everything = NewSet(Host, Path, Method, Query, Header, Cookie, URL, Client, Port, Scheme, SNI, ALPN)

// leaf reads "word arg arg" as a Test expression.
func leaf(s string) config.Expr {
	f := strings.Fields(s)
	e := config.Expr{Op: config.Test, Word: f[0]}
	for _, a := range f[1:] {
		n, _ := strconv.ParseInt(a, 10, 64)
		e.Args = append(e.Args, config.Value{Text: a, Int: n})
	}
	return e
}

func exchange(t testing.TB, target, host string, fields ...string) *flow.Exchange {
	t.Helper()
	c := &flow.Conn{Client: netip.MustParseAddrPort("10.1.2.3:5555"), Local: netip.MustParseAddrPort("127.0.0.1:8080")}
	x := &flow.Exchange{}
	x.Begin(c, nil)
	x.Req.Method, x.Req.Scheme = "GET", "http"
	x.Req.Authority, x.Req.Original = []byte(host), []byte(target)
	x.Req.Host = x.Req.HostOf(x.Req.Authority)
	if err := x.Req.SetTarget([]byte(target)); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		x.Req.Header.Add(fields[i], fields[i+1])
	}
	return x
}

func TestWords(t *testing.T) {
	x := exchange(t, "/img/%41.png?a=1&b=x+y&c&e%6d=%26", "Www.Example.COM:8080",
		"X-Kind", "one", "X-Kind", "two,three", "Cookie", "s=1; t = 2 ;u", "Cookie", `v="q"`, "User-Agent", "curl/8")
	tests := map[bool]string{
		true: `host www.example.com
			host *.example.com
			host a b *.COM
			host ~^WWW\.
			path /img/A.png
			path /nope /img/*
			path *.png
			path ~\.(png|jpg)$
			url *%41*
			url /img/%41.png?a=1*
			method POST GET
			query a
			query a=1
			query b=x?y
			query c
			query c=
			query em=&
			query z a=~^[0-9]$
			header x-kind
			header X-KIND one
			header x-kind *three
			header user-agent curl/*
			cookie s
			cookie t 2
			cookie u
			cookie v "q"
			client 10.0.0.0/8
			client 192.168.0.0/16 ::1 10.1.2.3
			port 80 8080
			scheme http
			scheme https http`,
		false: `host example.com
			host www.example.com.de *.org
			path /img/%41.png
			path /img /img/
			path /IMG/*
			url *A.png*
			method get2 HEAD
			query a=2
			query A
			query c=x
			header x-kind two
			header x-other
			cookie S
			cookie s 2
			cookie t =
			client 10.2.0.0/16
			client ::/0
			port 80
			scheme https`,
	}
	for want, lines := range tests {
		for line := range strings.Lines(lines) {
			e := leaf(line)
			m, err := Compile(&e, everything)
			if err != nil {
				t.Errorf("%s: %v", strings.TrimSpace(line), err)
				continue
			}
			if got := m.Match(x); got != want {
				t.Errorf("%s: %v", strings.TrimSpace(line), got)
			}
			if n := allocations(func() { m.Match(x) }); n != 0 {
				t.Errorf("%s: %v allocations", strings.TrimSpace(line), n)
			}
		}
	}
}

func TestConnWords(t *testing.T) {
	client, local := netip.MustParseAddrPort("[::ffff:10.1.2.3]:5"), netip.MustParseAddrPort("1.2.3.4:443")
	bare := &flow.Conn{Client: client, Local: local}
	peeked := &flow.Conn{Client: client, Local: local, Hello: &flow.Hello{ServerName: "mail.example.com", ALPN: []string{"h2", "http/1.1"}}}
	ended := &flow.Conn{Client: client, Local: local, TLS: &flow.TLS{ServerName: "mail.example.com", ALPN: "h2"}}
	tests := []struct {
		line                string
		bare, peeked, ended Verdict
	}{
		{"sni *.EXAMPLE.com", NeedMore, Yes, Yes},
		{"sni example.com", NeedMore, No, No},
		{"alpn http/1.1", NeedMore, Yes, No},
		{"alpn h2 h3", NeedMore, Yes, Yes},
		{"client 10.1.0.0/16", Yes, Yes, Yes},
		{"port 25", No, No, No},
		{"port 443", Yes, Yes, Yes},
		{"scheme tls", No, No, Yes},
		{"scheme tcp", Yes, Yes, No},
	}
	for _, tt := range tests {
		e := leaf(tt.line)
		m, err := CompileConn(&e, everything)
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		if b, p, d := m.MatchConn(bare), m.MatchConn(peeked), m.MatchConn(ended); b != tt.bare || p != tt.peeked || d != tt.ended {
			t.Errorf("%s: %v %v %v", tt.line, b, p, d)
		}
		if n := allocations(func() { m.MatchConn(peeked) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.line, n)
		}
	}
}

// constant is a leaf with a known verdict.
type constant Verdict

func (c constant) MatchConn(*flow.Conn) Verdict { return Verdict(c) }
func (c constant) Match(*flow.Exchange) bool    { return Verdict(c) == Yes }

// Kleene's logic: NeedMore is the answer only where the missing bytes matter.
func TestThreeValues(t *testing.T) {
	all := []Verdict{No, Yes, NeedMore}
	for _, a := range all {
		for _, b := range all {
			kids := []ConnMatcher{constant(a), constant(b)}
			check := func(name string, m ConnMatcher, f func(a, b bool) bool) {
				var seen [2]bool
				for _, x := range worlds(a) {
					for _, y := range worlds(b) {
						if f(x, y) {
							seen[1] = true
						} else {
							seen[0] = true
						}
					}
				}
				want := NeedMore
				if !seen[0] || !seen[1] {
					want = verdict(seen[1])
				}
				if got := m.MatchConn(nil); got != want {
					t.Errorf("%v %s %v = %v, want %v", a, name, b, got, want)
				}
			}
			check("and", joinConn(config.And, kids), func(a, b bool) bool { return a && b })
			check("or", joinConn(config.Or, kids), func(a, b bool) bool { return a || b })
			check("not", joinConn(config.Not, kids[:1]), func(a, _ bool) bool { return !a })
		}
	}
}

func worlds(v Verdict) []bool {
	switch v {
	case No:
		return []bool{false}
	case Yes:
		return []bool{true}
	default:
		return []bool{false, true}
	}
}

func TestBoolean(t *testing.T) {
	x := exchange(t, "/a", "h")
	expr := config.Expr{Op: config.And, Kids: []config.Expr{
		leaf("path /a /b"),
		{Op: config.Or, Kids: []config.Expr{leaf("host other"), {Op: config.Not, Kids: []config.Expr{leaf("method POST")}}}},
	}}
	m, err := Compile(&expr, everything)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Match(x) {
		t.Error("path /a and (host other or not method POST) does not match GET h/a")
	}
	x.Req.Method = "POST"
	if m.Match(x) {
		t.Error("matches POST")
	}
	if n := allocations(func() { m.Match(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if m, err := Compile(nil, everything); m != nil || err != nil {
		t.Error("no expression is not no matcher")
	}
}

func TestRefused(t *testing.T) {
	place := diag.Range{File: "f", Start: diag.Pos{Line: 3, Column: 4}}
	for line, want := range map[string]string{
		"path img/*":           "begins with a slash",
		"path /a//b":           "doubled slashes",
		"path /a/../b":         "dot segments",
		"host example.com:80":  "port",
		"host http://x/":       "no host name",
		"method get":           "write GET",
		"query =x":             "names no parameter",
		"query a=~(":           "RE2",
		"header a(b x":         "no field name",
		"client 10.0.0.0/33":   "no network",
		"client ::ffff:0:0/90": "reaches beyond",
		"port 70000":           "no port",
		"scheme tls":           "here the scheme is http or https",
		"sni x":                "reads streams",
		"pth /x":               "unknown matcher",
	} {
		e := leaf(line)
		e.Range = place
		_, err := Compile(&e, everything)
		var d diag.Diagnostic
		if !errors.As(err, &d) || d.Range != place || !strings.Contains(d.Message, want) {
			t.Errorf("%s: %v", line, err)
		}
	}
	e := leaf("path /x")
	if _, err := CompileConn(&e, everything); err == nil || !strings.Contains(err.Error(), "this site is tcp") {
		t.Errorf("path in a tcp site: %v", err)
	}
	e = leaf("scheme http")
	if _, err := CompileConn(&e, everything); err == nil {
		t.Error("scheme http is taken in a tcp site")
	}
}

func TestNetsAgainstWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	addr := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(r.IntN(4)), byte(r.IntN(256)), byte(r.IntN(256))})
		}
		b := [16]byte{0: 0x20, 1: 1, 14: byte(r.IntN(256)), 15: byte(r.IntN(256))}
		return netip.AddrFrom16(b)
	}
	for round := range 200 {
		var args []config.Value
		var list []netip.Prefix
		for range r.IntN(40) {
			a := addr()
			p := netip.PrefixFrom(a, a.BitLen()-r.IntN(20))
			list = append(list, p)
			args = append(args, config.Value{Text: p.String()})
		}
		n, err := NewNets(args)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			a, want := addr(), false
			for _, p := range list {
				want = want || p.Contains(a)
			}
			if n.Contains(a) != want {
				t.Fatalf("round %d: %v in %v: %v", round, a, list, !want)
			}
			if a.Is4() && n.Contains(netip.AddrFrom16(a.As16())) != want {
				t.Fatalf("%v inside IPv6 differs", a)
			}
		}
	}
	if n, _ := NewNets([]config.Value{{Text: "0.0.0.0/0"}, {Text: "::/0"}}); !n.Contains(netip.MustParseAddr("255.255.255.255")) ||
		!n.Contains(netip.MustParseAddr("ffff::ffff")) || n.Len() != 2 || n.Contains(netip.Addr{}) {
		t.Error("the whole world does not hold its ends, or holds no address")
	}
}

func BenchmarkClient(b *testing.B) {
	for _, n := range []int{1, 10000} {
		var args []config.Value
		for i := range n {
			args = append(args, config.Value{Text: fmt.Sprintf("10.%d.%d.0/25", i>>8, i&255)})
		}
		nets, err := NewNets(args)
		if err != nil {
			b.Fatal(err)
		}
		a := netip.MustParseAddr("10.3.3.3")
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				nets.Contains(a)
			}
		})
	}
}

// allocations is the least of some measurements: regexp keeps its machines in a
// sync.Pool, from which the race detector drops some at random.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(100, f)
	for i := 0; i < 20 && least > 0; i++ {
		least = min(least, testing.AllocsPerRun(10, f))
	}
	return least
}
