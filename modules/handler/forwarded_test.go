package handler

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// forwardedBy builds what `forwardfor` and `trusted_proxies` make of a site.
func forwardedBy(t testing.TB, mode, trusted string, options ...config.Node) *Forwarded {
	t.Helper()
	env := &Env{Forwarded: &Forwarded{}}
	if h, err := ForwardFor.New(node(t, ForwardFor, "", []string{mode}, options...), env); h != nil || err != nil {
		t.Fatal(h, err)
	}
	if trusted != "" {
		if h, err := TrustedProxies.New(node(t, TrustedProxies, "", strings.Fields(trusted)), env); h != nil || err != nil {
			t.Fatal(h, err)
		}
	}
	return env.Forwarded
}

var spoofed = []string{
	"X-Forwarded-For", "1.1.1.1", "x-forwarded-for", "2.2.2.2", "X-Forwarded-Proto", "https", "X-FORWARDED-HOST", "evil",
	"X-Forwarded-Port", "1", "X-Forwarded-Prefix", "/x", "Forwarded", "for=1.1.1.1", "X-Real-IP", "1.1.1.1",
	"x_forwarded_for", "3.3.3.3", "X_Real-Ip", "4.4.4.4", "X-Forwarded_Proto", "https", "User_Agent", "stays", "Accept", "*/*",
}

func header(x *flow.Exchange) string {
	var b strings.Builder
	for n, v := range x.Req.Header.All() {
		b.WriteString(string(n) + ": " + string(v) + "\n")
	}
	return b.String()
}

func TestForwardedApply(t *testing.T) {
	const rest = "User_Agent: stays\nAccept: */*\n"
	const ours = "X-Forwarded-Proto: http\nX-Forwarded-Host: Shop.example.com:8080\n"
	const theirs = "X-Forwarded-Proto: https\nX-FORWARDED-HOST: evil\nX-Forwarded-Port: 1\nX-Forwarded-Prefix: /x\nForwarded: for=1.1.1.1\nX-Real-IP: 1.1.1.1\n"
	tests := []struct {
		name   string
		f      *Forwarded
		fields []string
		want   string
	}{
		{"untrusted", &Forwarded{}, spoofed, rest + "X-Forwarded-For: 10.1.2.3\n" + ours},
		{"nothing came", &Forwarded{}, nil, "X-Forwarded-For: 10.1.2.3\n" + ours},
		{"other trusted", forwardedBy(t, "on", "10.9.0.0/16"), spoofed, rest + "X-Forwarded-For: 10.1.2.3\n" + ours},
		{"trusted", forwardedBy(t, "on", "10.1.0.0/16"), spoofed,
			"X-Forwarded-For: 1.1.1.1\nx-forwarded-for: 2.2.2.2, 10.1.2.3\n" + theirs + rest},
		{"trusted, empty", forwardedBy(t, "on", "10.1.0.0/16"), []string{"X-Forwarded-For", ""},
			"X-Forwarded-For: 10.1.2.3\n" + ours},
		{"append", forwardedBy(t, "append", ""), []string{"X-Forwarded-For", "1.1.1.1"}, "X-Forwarded-For: 1.1.1.1, 10.1.2.3\n" + ours},
		{"append if_none", forwardedBy(t, "append", "", config.Node{Word: "if_none"}), []string{"X-Forwarded-For", "1.1.1.1"},
			"X-Forwarded-For: 1.1.1.1\n" + ours},
		{"append if_none, none", forwardedBy(t, "append", "", config.Node{Word: "if_none"}), nil, "X-Forwarded-For: 10.1.2.3\n" + ours},
		{"except", forwardedBy(t, "on", "", option("except", "10.0.0.0/8")), spoofed, rest + ours},
		{"off", forwardedBy(t, "off", ""), []string{"X-Forwarded-For", "1.1.1.1", "x_real_ip", "y"}, "X-Forwarded-For: 1.1.1.1\nx_real_ip: y\n"},
		{"header", forwardedBy(t, "on", "", option("header", "X-Client")), []string{"x-client", "1.1.1.1", "X-Forwarded-For", "2"},
			"X-Client: 10.1.2.3\n" + ours},
		{"header, trusted", forwardedBy(t, "on", "10.0.0.0/8", option("header", "X-Client")), []string{"x-client", "1.1.1.1"},
			"x-client: 1.1.1.1, 10.1.2.3\n" + ours},
	}
	for _, tt := range tests {
		x, _ := visit(t, "/", tt.fields...)
		if tt.f.Apply(x); header(x) != tt.want {
			t.Errorf("%s:\n%swant\n%s", tt.name, header(x), tt.want)
		}
	}
	x, _ := visit(t, "/")
	x.Conn.Client = netip.MustParseAddrPort("[fe80::1%eth0]:1")
	x.Req.Scheme = "https"
	new(Forwarded).Apply(x)
	if h := header(x); !strings.HasPrefix(h, "X-Forwarded-For: fe80::1\nX-Forwarded-Proto: https\n") {
		t.Errorf("IPv6: %s", h)
	}
	x.Conn.Client = netip.AddrPort{} // a unix socket
	x.Req.Header.Reset(nil)
	new(Forwarded).Apply(x)
	if header(x) != "X-Forwarded-Proto: https\nX-Forwarded-Host: Shop.example.com:8080\n" {
		t.Errorf("no address: %s", header(x))
	}
	refused(t, "cannot carry", Module{Spec: ForwardFor.Spec, New: func(n *config.Node, e *Env) (flow.Handler, error) {
		n.Options = append(n.Options, option("header", "Content-Length"))
		return ForwardFor.New(n, e)
	}}, "", "on")
}

func TestIdentify(t *testing.T) {
	f := forwardedBy(t, "on", "10.0.0.0/8 2001:db8::/32")
	tests := map[string]string{ // X-Forwarded-For lines, joined by "|": the client
		"":                                  "10.1.2.3",
		"1.1.1.1":                           "1.1.1.1",
		"6.6.6.6, 1.1.1.1":                  "1.1.1.1",
		"6.6.6.6, 1.1.1.1, 10.9.9.9":        "1.1.1.1",
		"6.6.6.6, 1.1.1.1|10.9.9.9":         "1.1.1.1",
		"1.1.1.1:80, 10.9.9.9":              "1.1.1.1",
		"[2001:db9::1]:80 ,[2001:db8::5]":   "2001:db9::1",
		"::ffff:1.1.1.1":                    "1.1.1.1",
		"10.8.8.8, 10.9.9.9":                "10.8.8.8",
		"1.1.1.1, unknown, 10.9.9.9":        "10.9.9.9",
		"unknown":                           "10.1.2.3",
		"1.1.1.1,":                          "10.1.2.3",
		"fe80::1%eth0":                      "10.1.2.3",
		"[::1":                              "10.1.2.3",
		strings.Repeat("1", 100):            "10.1.2.3",
		"1.1.1.1|" + strings.Repeat(",", 9): "10.1.2.3",
	}
	for lines, want := range tests {
		var fields []string
		for _, l := range strings.Split(lines, "|") {
			if lines != "" {
				fields = append(fields, "X-Forwarded-For", l)
			}
		}
		x, _ := visit(t, "/", fields...)
		f.Identify(x)
		if x.Client.String() != want || x.Record.Client.Addr() != x.Client {
			t.Errorf("%q: the client is %v (logged %v), want %s", lines, x.Client, x.Record.Client, want)
		}
	}
	x, _ := visit(t, "/", "X-Forwarded-For", "1.1.1.1")
	if new(Forwarded).Identify(x); x.Client.String() != "10.1.2.3" || x.Record.Client.Port() != 5555 {
		t.Errorf("without trust the client is %v", x.Client)
	}
}

// Whatever an untrusted client sends, nothing of the family but ours gets through.
func FuzzForwarded(f *testing.F) {
	f.Add("x-forwarded_for", "1.1.1.1, 2.2.2.2")
	f.Add("Forwarded", "for=\"[::1]\"")
	trusting := forwardedBy(f, "on", "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, name, value string) {
		x, _ := visit(t, "/", name, value)
		new(Forwarded).Apply(x)
		for n, v := range x.Req.Header.All() {
			plain := strings.ToLower(strings.ReplaceAll(string(n), "_", "-"))
			switch plain {
			case "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host":
				if s := string(v); s != "10.1.2.3" && s != "http" && s != "Shop.example.com:8080" || strings.Contains(string(n), "_") {
					t.Fatalf("%s: %s", n, v)
				}
			case "forwarded", "x-real-ip", "x-forwarded-port", "x-forwarded-prefix":
				t.Fatalf("%s: %s", n, v)
			}
		}
		x, _ = visit(t, "/", "X-Forwarded-For", value, name, value)
		trusting.Identify(x)
		trusting.Apply(x)
		if !x.Client.IsValid() {
			t.Fatal("no client")
		}
	})
}

func TestForwardedAllocations(t *testing.T) {
	f := forwardedBy(t, "on", "10.1.0.0/16")
	x, r := visit(t, "/")
	conn, authority, value := x.Conn, x.Req.Authority, []byte("6.6.6.6, 2001:db9::1, 10.9.9.9")
	for name, f := range map[string]*Forwarded{"trusting": f, "default": {}} {
		if n := testing.AllocsPerRun(100, func() {
			x.Begin(conn, r)
			x.Req.Scheme, x.Req.Authority = "http", authority
			x.Req.Header.AddID(flow.FieldXForwardedFor, value)
			x.Req.Header.AddBytes(value[:3], value)
			f.Identify(x)
			f.Apply(x)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A browser's header of a dozen fields, nothing of the family among it. The
// header is laid out as a codec does; "bare" is what that alone costs.
func BenchmarkForwardedApply(b *testing.B) {
	x, _ := visit(b, "/")
	var base []byte
	type span struct {
		id                   flow.ID
		name, nameLen, value int
	}
	var spans []span
	for _, n := range []string{"Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Cookie", "Referer",
		"Cache-Control", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Connection", "Priority"} {
		spans = append(spans, span{flow.Lookup(n), len(base), len(n), len(base) + len(n) + 2})
		base = append(base, n+": value\r\n"...)
	}
	for _, name := range []string{"bare", "apply"} {
		b.Run(name, func(b *testing.B) {
			f, h := new(Forwarded), &x.Req.Header
			b.ReportAllocs()
			for b.Loop() {
				h.Reset(base)
				for i := range spans {
					h.AddSpan(spans[i].id, spans[i].name, spans[i].nameLen, spans[i].value, 5)
				}
				if name == "apply" {
					f.Apply(x)
				}
			}
		})
	}
}
