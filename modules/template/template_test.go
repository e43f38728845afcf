package template

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func exchange(t testing.TB) *flow.Exchange {
	t.Helper()
	c := &flow.Conn{
		ID: 7, Client: netip.MustParseAddrPort("[::ffff:10.1.2.3]:5555"), Peer: netip.MustParseAddrPort("10.9.9.9:1"),
		Local: netip.MustParseAddrPort("127.0.0.1:9001"),
	}
	x := &flow.Exchange{}
	x.Begin(c, nil)
	x.Req.Method, x.Req.Scheme, x.Req.Major, x.Req.Minor = "GET", "http", 1, 1
	x.Req.Authority = []byte("Shop.example.com:8080")
	x.Req.Host = x.Req.HostOf(x.Req.Authority)
	x.Req.Original = []byte("/a%0d%0a%3Cb%3E/../c%20%25%3f?q=%0d%0ax+%3C&r")
	if err := x.Req.SetTarget(x.Req.Original); err != nil {
		t.Fatal(err)
	}
	x.Req.Header.Add("X-Evil", "a\r\nSet-Cookie: b\x00<i>\"'&\\")
	x.Req.Header.Add("Cookie", "a=1; s=t<")
	x.Record.Site, x.Record.Pool, x.Record.Server = "shop", "farm", "s1"
	x.Resp.Status = 200
	x.Resp.Header.Add("Server", "o")
	return x
}

func TestAppend(t *testing.T) {
	x := exchange(t)
	tests := []struct{ text, plain, html, url string }{
		{"plain {} {x} {\"a\": {client_ip}} {1.5} {A.b} {", "=", "=", "="},
		{"{client.ip}:{client.port} {client.peer}", "10.1.2.3:5555 10.9.9.9", "=", "="},
		{"{server.ip}:{server.port}", "127.0.0.1:9001", "=", "="},
		{"{site.name} {pool.name}/{pool.server} {conn.id}", "shop farm/s1 7", "=", "="},
		{"{http.method} {http.scheme}://{http.host} {http.authority} {http.version}", "GET http://shop.example.com Shop.example.com:8080 1.1", "=", "="},
		{"{http.path}", "/c %?", "/c %?", "/c%20%25%3F"},
		{"{http.uri}", "/c%20%25%3f?q=%0d%0ax+%3C&r", "/c%20%25%3f?q=%0d%0ax+%3C&amp;r", "/c%20%25%3f?q=%0d%0ax+%3C&r"},
		{"{http.query.q}", "x <", "x &lt;", "%0D%0Ax%20%3C"},
		{"{http.query.none}{http.header.none}{http.cookie.none}", "", "", ""},
		{"{http.header.x-evil}", `aSet-Cookie: b<i>"'&\`, `aSet-Cookie: b&lt;i&gt;&#34;&#39;&amp;\`,
			"a%0D%0ASet-Cookie%3A%20b%00%3Ci%3E%22%27%26%5C"},
		{"[{http.cookie.s}]", "[t<]", "[t&lt;]", "[t%3C]"},
		{"{http.response.status} {http.response.header.server}", "200 o", "=", "="},
	}
	for _, tt := range tests {
		c, err := Compile(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		check := func(name, got, want string) {
			if want == "=" {
				want = tt.plain
			}
			if want == "=" {
				want = tt.text
			}
			if got != "x"+want {
				t.Errorf("%s as %s: %q, want %q", tt.text, name, got, "x"+want)
			}
		}
		check("plain", string(c.Append([]byte("x"), x)), tt.plain)
		check("html", string(c.AppendHTML([]byte("x"), x)), tt.html)
		check("url", string(c.AppendURL([]byte("x"), x)), tt.url)
		buf := make([]byte, 0, 512)
		if n := testing.AllocsPerRun(100, func() { buf = c.Append(buf[:0], x); buf = c.AppendURL(buf[:0], x) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.text, n)
		}
	}
}

func TestTime(t *testing.T) {
	c, err := Compile("{time.unix} {time.unix_ms} {time.rfc3339} {time.http}")
	if err != nil {
		t.Fatal(err)
	}
	f := strings.SplitN(string(c.Append(nil, exchange(t))), " ", 4)
	if len(f[1]) != len(f[0])+3 || !strings.HasSuffix(f[2], "Z") || !strings.HasSuffix(f[3], " GMT") {
		t.Errorf("%q", f)
	}
}

func TestUnknown(t *testing.T) {
	for text, want := range map[string]string{
		"{client.addr}":  "there are {client.ip}",
		"{nothing.here}": "unknown placeholder {nothing.here}",
		"{http.header.}": "unknown placeholder",
		"{a}{.b}{c.}{}":  "",
	} {
		_, err := Compile(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEveryPlaceholder(t *testing.T) {
	x := exchange(t)
	for _, p := range Placeholders() {
		if p.Doc == "" {
			t.Errorf("%s has no doc", p.Name)
		}
		c, err := Compile("{" + strings.TrimSuffix(p.Name, "*") + strings.Repeat("a", strings.Count(p.Name, "*")) + "}")
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if _, static := c.Static(); static {
			t.Errorf("%s is not filled in", p.Name)
		}
		c.Append(nil, x)
	}
}

// No value can break a line, an HTML text or a URL, whatever its bytes.
func FuzzAppend(f *testing.F) {
	f.Add("a\r\nb", "{http.header.a}")
	f.Add("<>&\"' \x00\x7f\xff", "x{http.header.a}y{http.header.a}")
	f.Fuzz(func(t *testing.T, value, text string) {
		c, err := Compile(text)
		if err != nil {
			return
		}
		x := exchange(t)
		x.Req.Header.Add("a", value)
		c.Append(nil, x)
		one, err := Compile("{http.header.a}")
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range one.Append(nil, x) {
			if b == '\r' || b == '\n' || b == 0 || b == 0x7f {
				t.Fatalf("%q yields a control", value)
			}
		}
		if s := string(one.AppendHTML(nil, x)); strings.ContainsAny(s, "<>\"'\r\n\x00") {
			t.Fatalf("%q yields %q in HTML", value, s)
		}
		u := one.AppendURL(nil, x)
		if s := string(u); strings.ContainsAny(s, "<>\"'\\ /?#&;:@\r\n\x00") {
			t.Fatalf("%q yields %q in a URL", value, s)
		}
		// "+" is encoded, so undoing escapes gives the value back.
		back := append([]byte(nil), u...)
		if got := string(flow.AppendUnescaped(nil, back)); got != value {
			t.Fatalf("%q comes back as %q", value, got)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	x := exchange(b)
	c, err := Compile("https://{http.host}{http.uri}")
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = c.AppendURL(buf[:0], x)
	}
}
