package graph

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

var words = matcher.NewSet(matcher.Host, matcher.Path, matcher.Method, matcher.Query, matcher.Header)

func request(t testing.TB, method, host, target string) *flow.Exchange {
	t.Helper()
	x := &flow.Exchange{}
	x.Begin(&flow.Conn{Client: netip.MustParseAddrPort("10.0.0.1:1")}, nil)
	ask(t, x, method, host, target)
	return x
}

func ask(t testing.TB, x *flow.Exchange, method, host, target string) {
	t.Helper()
	x.Req.Method, x.Req.Host, x.Req.Original = method, []byte(host), []byte(target)
	if err := x.Req.SetTarget([]byte(target)); err != nil {
		t.Fatal(err)
	}
}

func leaf(word string, args ...string) config.Expr {
	e := config.Expr{Word: word}
	for _, a := range args {
		e.Args = append(e.Args, config.Value{Text: a})
	}
	return e
}

func route(t testing.TB, e *config.Expr, h flow.Handler) Route {
	t.Helper()
	m, err := matcher.Compile(e, words)
	if err != nil {
		t.Fatal(err)
	}
	return Route{When: e, Matcher: m, Handler: h}
}

// step notes that it ran; it may answer, or rewrite.
type step struct {
	number  int
	ran     *[]int
	answers bool
	rewrite string
}

func (s *step) Handle(x *flow.Exchange) (bool, error) {
	*s.ran = append(*s.ran, s.number)
	if s.rewrite != "" {
		return false, x.Req.Rewrite([]byte(s.rewrite))
	}
	return s.answers, nil
}

func TestHosts(t *testing.T) {
	var h Hosts[string]
	for _, name := range []string{"a.com", "*.a.com", "*.b.a.com", "x.b.a.com"} {
		if err := h.Add(name, &name); err != nil {
			t.Fatal(err)
		}
	}
	get := func(host string) string {
		if v := h.Lookup([]byte(host)); v != nil {
			return *v
		}
		return ""
	}
	tests := map[string]string{
		"a.com": "a.com", "www.a.com": "*.a.com", "b.a.com": "*.a.com", "y.b.a.com": "*.b.a.com", "z.y.b.a.com": "*.b.a.com",
		"x.b.a.com": "x.b.a.com", "com": "", "": "", "xa.com": "", ".a.com": "", "a.com.": "", "...": "",
	}
	for host, want := range tests {
		if got := get(host); got != want {
			t.Errorf("%s is served by %q, not %q", host, got, want)
		}
	}
	def := "default"
	if err := h.Add("", &def); err != nil {
		t.Fatal(err)
	}
	if get("com") != "default" || get("") != "default" || get("a.com") != "a.com" {
		t.Error("the default serves too much or too little")
	}
	for _, bad := range []string{"", "a.com", "*.a.com", "*", "*a.com"} {
		if h.Add(bad, &def) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	host := []byte("z.y.x.w.a.com")
	if n := testing.AllocsPerRun(100, func() { h.Lookup(host) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The order of the file keeps its meaning: over random lists the index runs the
// same routes in the same order as the walk through all of them.
func TestChainAgainstWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	lists := 400
	if testing.Short() {
		lists = 50
	}
	most := 0
	for range lists {
		var ran []int
		var routes []Route
		for i := range 9 + r.IntN(60) {
			s := &step{number: i, ran: &ran, answers: r.IntN(20) == 0}
			if r.IntN(10) == 0 {
				s.rewrite = randomPath(r)
			}
			var e *config.Expr
			if r.IntN(12) != 0 {
				e = randomExpr(r, 3)
			}
			rt := route(t, e, s)
			rt.Handle = r.IntN(4) == 0
			routes = append(routes, rt)
		}
		c := NewChain(routes)
		plain := Chain{routes: routes}
		for range 100 {
			target, host, method := randomPath(r), randomHost(r), []string{"GET", "POST"}[r.IntN(2)]
			ran = nil
			done, err := c.Handle(request(t, method, host, target))
			got := ran
			ran = nil
			wantDone, wantErr := plain.Handle(request(t, method, host, target))
			if done != wantDone || !errors.Is(err, wantErr) || !slices.Equal(got, ran) {
				t.Fatalf("%s http://%s%s: ran %v (%v %v), by the walk %v (%v %v)", method, host, target, got, done, err, ran, wantDone, wantErr)
			}
			most = max(most, len(ran))
		}
	}
	if most < 5 {
		t.Errorf("no request ran more than %d routes: the test shows nothing", most)
	}
}

func randomPath(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString([]string{"/a", "/ab", "/b", "/%61", "/", "/c.png"}[r.IntN(6)])
	}
	return b.String()
}

func randomHost(r *rand.Rand) string {
	return []string{"", "a.com", "b.a.com", "c.b.a.com", "xa.com", "b.com", ".a.com", "com"}[r.IntN(8)]
}

func randomExpr(r *rand.Rand, depth int) *config.Expr {
	if depth > 0 && r.IntN(3) == 0 {
		e := &config.Expr{Op: []config.Op{config.And, config.Or, config.Not}[r.IntN(3)]}
		for range map[bool]int{true: 1, false: 2 + r.IntN(2)}[e.Op == config.Not] {
			e.Kids = append(e.Kids, *randomExpr(r, depth-1))
		}
		return e
	}
	args := func(pick func() string) (out []string) {
		for range 1 + r.IntN(3) {
			out = append(out, pick())
		}
		return out
	}
	var e config.Expr
	switch r.IntN(6) {
	case 0:
		e = leaf("method", "GET")
	case 1, 2:
		e = leaf("host", args(func() string {
			return []string{"a.com", "*.a.com", "*a.com", "b.*", "*.b.a.com", "~^b", "?.com", "*"}[r.IntN(8)]
		})...)
	default:
		e = leaf("path", args(func() string {
			return []string{"/a", "/a/*", "/a*", "/ab/*", "*.png", "/*/b", "/a/?/*", "~^/a", "/*", "/a/b/*", "/a/b", "*"}[r.IntN(12)]
		})...)
	}
	return &e
}

// More prefixes of one path than a merge has room for are walked instead.
func TestChainOverflow(t *testing.T) {
	var ran []int
	var routes []Route
	prefix := "/"
	for i := range 3 * maxLists {
		prefix += "a"
		e := leaf("path", prefix+"*")
		routes = append(routes, route(t, &e, &step{number: i, ran: &ran}))
	}
	if _, err := NewChain(routes).Handle(request(t, "GET", "h", prefix)); err != nil || len(ran) != 3*maxLists {
		t.Errorf("%d of %d routes ran: %v", len(ran), 3*maxLists, err)
	}
}

func TestHandleRunsOnce(t *testing.T) {
	var ran []int
	var routes []Route
	for i := range 4 {
		e := leaf("path", "/a*")
		rt := route(t, &e, &step{number: i, ran: &ran})
		rt.Handle = i < 3
		routes = append(routes, rt)
	}
	done, err := NewChain(routes).Handle(request(t, "GET", "h", "/ab"))
	if done || err != nil || !slices.Equal(ran, []int{0, 3}) {
		t.Errorf("ran %v", ran)
	}
}

// noop answers, and keeps no trace of it.
type noop struct{}

func (noop) Handle(*flow.Exchange) (bool, error) { return true, nil }

func manyRoutes(t testing.TB, n int, word, format string) []Route {
	routes := make([]Route, n)
	for i := range routes {
		e := leaf(word, fmt.Sprintf(format, i))
		routes[i] = route(t, &e, noop{})
	}
	return routes
}

func TestChainAllocations(t *testing.T) {
	c := NewChain(manyRoutes(t, 1000, "path", "/p%d/*"))
	x := request(t, "GET", "a.b.c.d.example.com", "/p999/x")
	if n := testing.AllocsPerRun(100, func() {
		if done, err := c.Handle(x); !done || err != nil {
			t.Fatal(done, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The last of n routes, or of n sites, is asked for.
func BenchmarkRoutes(b *testing.B) {
	for _, kind := range [][3]string{{"path", "/p%d/*", "/p%d/x"}, {"host", "h%d.example.com", "/"}, {"host", "*.h%d.example.com", "/"}} {
		for _, n := range []int{10, 10000} {
			b.Run(kind[0]+"/"+strings.ReplaceAll(kind[1], "/", "")+"/"+strconv.Itoa(n), func(b *testing.B) {
				c := NewChain(manyRoutes(b, n, kind[0], kind[1]))
				var host string
				target := kind[2]
				if kind[0] == "host" {
					host = strings.Replace(fmt.Sprintf(kind[1], n-1), "*", "www", 1)
				} else {
					host, target = "h", fmt.Sprintf(kind[2], n-1)
				}
				x := request(b, "GET", host, target)
				b.ReportAllocs()
				for b.Loop() {
					if done, _ := c.Handle(x); !done {
						b.Fatal("no route")
					}
				}
			})
		}
	}
}

func BenchmarkSites(b *testing.B) {
	for _, n := range []int{10, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var h Hosts[int]
			for i := range n {
				if err := h.Add(fmt.Sprintf("site%d.example.com", i), &i); err != nil {
					b.Fatal(err)
				}
			}
			host := fmt.Appendf(nil, "site%d.example.com", n-1)
			b.ReportAllocs()
			for b.Loop() {
				if h.Lookup(host) == nil {
					b.Fatal("no site")
				}
			}
		})
	}
}
