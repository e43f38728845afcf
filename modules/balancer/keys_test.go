package balancer

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// checkKey compares by hash; "-" stands for no key at all.
func checkKey(t *testing.T, k hashKey, a *Ask, want string) {
	t.Helper()
	h, ok := k.hash(a)
	switch {
	case want == "-" && ok:
		t.Errorf("a key was found, want none")
	case want == "-":
	case !ok:
		t.Errorf("no key, want %q", want)
	case h != sdbm(0, want):
		t.Errorf("hash %#x, want that of %q", h, want)
	}
}

func TestSDBM(t *testing.T) {
	// h × 65599 + c, worked out by hand.
	if got := sdbm(0, "ab"); got != 'a'*65599+'b' {
		t.Errorf("%d", got)
	}
	if sdbm(0, []byte("ab")) != sdbm(sdbm(0, "a"), "b") {
		t.Error("it does not go on")
	}
}

func TestURIKey(t *testing.T) {
	for _, c := range []struct {
		key              uriKey
		original, target string
		want             string
	}{
		{uriKey{}, "/a/b?q=1", "/a/b?q=1", "/a/b"},
		{uriKey{whole: true}, "/a/b?q=1", "/a/b?q=1", "/a/b?q=1"},
		{uriKey{length: 3}, "/abcdef", "/abcdef", "/ab"},
		{uriKey{length: 99}, "/abcdef", "/abcdef", "/abcdef"},
		{uriKey{depth: 1}, "/a/b/c", "/a/b/c", "/a"},
		{uriKey{depth: 2}, "/a/b/c", "/a/b/c", "/a/b"},
		{uriKey{depth: 2}, "/a/b?c/d", "/a/b?c/d", "/a/b"},
		{uriKey{depth: 9}, "/a/b/c", "/a/b/c", "/a/b/c"},
		{uriKey{length: 4, depth: 1}, "/a/b/c", "/a/b/c", "/a"},
		{uriKey{}, "http://h:80/a?b", "/a?b", "http://h:80/a"},
		{uriKey{pathOnly: true}, "http://h:80/a?b", "/a?b", "/a"},
		{uriKey{depth: 2}, "http://h/a/b", "/a/b", "http://h"},
		{uriKey{}, "http://h?b", "/?b", "http://h/"},
		{uriKey{}, "/old", "/rewritten", "/rewritten"},
		{uriKey{}, "*", "*", "*"},
		{uriKey{pathOnly: true}, "*", "*", ""},
		{uriKey{}, "h:1", "h:1", "h:1"}, // as of CONNECT
		{uriKey{pathOnly: true}, "h:1", "h:1", ""},
	} {
		x := &flow.Exchange{}
		x.Req.Original, x.Req.Target = []byte(c.original), []byte(c.target)
		if c.original == "h:1" {
			x.Req.Method = "CONNECT"
		}
		h, ok := c.key.hash(&Ask{Exchange: x})
		if !ok || h != sdbm(0, c.want) {
			t.Errorf("%+v of %s: %#x %v, want that of %q", c.key, c.original, h, ok, c.want)
		}
	}
	checkKey(t, &uriKey{}, &Ask{}, "-")
}

func TestParamKey(t *testing.T) {
	for _, c := range []struct{ query, body, want string }{
		{"", "", "-"},
		{"u=1", "", "1"},
		{"a=2&u=1&u=3", "", "1"},
		{"u=", "", ""},
		{"au=1", "", "-"},
		{"u", "", "-"},
		{"u&u=4", "", "4"},
		{"&&u=4&", "", "4"},
		{"U=4", "", "-"},
		{"%75=4", "", "-"}, // names are compared as they were sent
		{"u=%41", "", "%41"},
		{"a=b", "u=5&v=6", "5"},
		{"u=7", "u=5", "7"},
		{"", "v=6&u=", ""},
		{"", "u= 5", ""},
		{"", "u=\x005", "-"},
		{"", "uu", "-"},
	} {
		x := &flow.Exchange{}
		x.Req.Query = []byte(c.query)
		a := Ask{Exchange: x, Body: []byte(c.body)}
		t.Run(c.query+" "+c.body, func(t *testing.T) { checkKey(t, &paramKey{name: "u", post: 100}, &a, c.want) })
	}
	checkKey(t, &paramKey{name: "u", post: 100}, &Ask{}, "-")
}

func TestCheckPostAsksForBodies(t *testing.T) {
	p := policy(t, "url_param u check_post").(BodyPolicy)
	for _, c := range []struct {
		method, query string
		length        int64
		want          int
	}{
		{"POST", "", 5, 16 << 10},
		{"POST", "", -1, 16 << 10},
		{"POST", "", 0, 0},
		{"PUT", "", 5, 0},
		{"POST", "u=1", 5, 0},
		{"POST", "x=1", 5, 16 << 10},
	} {
		x := &flow.Exchange{}
		x.Req.Method, x.Req.Query, x.Req.ContentLength = c.method, []byte(c.query), c.length
		if got := p.BodyLimit(x); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
	if _, ok := policy(t, "url_param u").(BodyPolicy); ok {
		t.Error("bodies are waited for without check_post")
	}
}

func TestHeaderKey(t *testing.T) {
	for _, c := range []struct {
		values string // lines, joined by |
		domain bool
		want   string
	}{
		{"", false, "-"},
		{"a", false, "a"},
		{"a, b", false, "a"},
		{" a , b", false, "a"},
		{", b", false, "-"},
		{", b|c, d", false, "-"},
		{`"a,b", c`, false, `"a,b"`},
		{`"a\",b", c`, false, `"a\",b"`},
		{"a|b", false, "a"},
		{"www.example.com", true, "example"},
		{"www.example.com:80", true, "example"},
		{"example.com", true, "example"},
		{"localhost", true, "localhost"},
		{"a..com", true, "a."},
		{".com", true, ".com"},
		{"10.0.0.1", true, "0"},
		{"a.", true, "a"},
		{".", true, "."},
	} {
		x := &flow.Exchange{}
		x.Req.Header.Add("X-Other", "z")
		if c.values != "" {
			for _, v := range strings.Split(c.values, "|") {
				x.Req.Header.Add("x-key", v)
			}
		}
		k := &headerKey{name: "X-Key", domain: c.domain}
		t.Run(c.values, func(t *testing.T) { checkKey(t, k, &Ask{Exchange: x}, c.want) })
	}
	checkKey(t, &headerKey{name: "X-Key"}, &Ask{}, "-")
	host := &flow.Exchange{}
	host.Req.Header.Add("Host", "h")
	checkKey(t, &headerKey{name: "Host", id: flow.FieldHost}, &Ask{Exchange: host}, "h")
}

func TestTemplateKey(t *testing.T) {
	k := policy(t, "hash {http.header.X-Key}-{client.ip}").(*hashPolicy).key
	x := request("v")
	x.Client = netip.MustParseAddr("10.0.0.1")
	checkKey(t, k, &Ask{Exchange: x}, "v-10.0.0.1")
	checkKey(t, k, &Ask{}, "-")
	empty := policy(t, "hash {http.cookie.none}").(*hashPolicy).key
	checkKey(t, empty, &Ask{Exchange: x}, "-")
}

func TestNeeds(t *testing.T) {
	for text, want := range map[string]Need{
		"uri": NeedsRequest, "header X": NeedsRequest, "url_param p": NeedsRequest, "url_param p check_post": NeedsRequest,
		"source": NeedsNothing, "hash {client.ip}": NeedsExchange, "hash {tls.sni}": NeedsExchange,
		"hash {client.ip}{http.host}": NeedsRequest, "hash {http.header.X-A}": NeedsRequest,
	} {
		if got := policy(t, text).(Keyed).Needs(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"hash fixed":               "always the same",
		"hash {http.nonsense}":     "unknown placeholder",
		"uri map consistent":       "exclude each other",
		"source maglev consistent": "exclude each other",
	} {
		_, err := newPolicy(t, text)
		if _, ok := err.(diag.Diagnostic); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", text, err, want)
		}
	}
	if _, err := urlParam.New(&config.Node{Args: []config.Value{{Text: ""}}}); err == nil {
		t.Error("a parameter without a name was taken")
	}
}

// Whatever a client sends, the same key gives the same server.
func FuzzKeys(f *testing.F) {
	f.Add("/a/b?u=1", "www.example.com, b", "u=3&x")
	f.Add("http://h", ".", "u=")
	f.Add("", "\"", "&&&u")
	var policies []Policy
	for _, text := range []string{"uri", "uri len 5 depth 1 whole", "uri path_only consistent", "url_param u check_post maglev",
		"header X-Key domain_only", "header X-Key", "hash {http.header.X-Key}{http.query.u} consistent balance_factor 110%"} {
		policies = append(policies, policy(f, text))
	}
	s := servers(3, 1, 2)
	var pickers []Picker
	for _, p := range policies {
		pickers = append(pickers, p.Picker(s))
	}
	f.Fuzz(func(t *testing.T, target, field, body string) {
		x := &flow.Exchange{Conn: &flow.Conn{}}
		x.Req.Method, x.Req.Original, x.Req.Target = "POST", []byte(target), []byte(target)
		if i := strings.IndexByte(target, '?'); i >= 0 {
			x.Req.Query = x.Req.Target[i+1:]
		}
		x.Req.Header.Add("X-Key", field)
		for i, p := range pickers {
			a, b := Ask{Exchange: x, Body: []byte(body)}, Ask{Exchange: x, Body: []byte(body)}
			first, second := p.Pick(&a), p.Pick(&b)
			if first == nil || a.Bound != b.Bound || a.Bound && first != second {
				t.Fatalf("policy %d: %v (bound %v), then %v", i, first, a.Bound, second)
			}
		}
	})
}
