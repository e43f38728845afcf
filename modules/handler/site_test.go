package handler

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// recorder is a responder that keeps what it is given.
type recorder struct {
	x        *flow.Exchange
	body     bytes.Buffer
	finished bool
	aborted  error
}

func (r *recorder) Inform(int, *flow.Header) error        { return nil }
func (r *recorder) Start() error                          { return nil }
func (r *recorder) Write(p []byte) (int, error)           { return r.body.Write(p) }
func (r *recorder) Relay(io.Reader, int64) (int64, error) { return 0, errors.ErrUnsupported }
func (r *recorder) Flush() error                          { return nil }
func (r *recorder) Finish() error                         { r.finished = true; return nil }
func (r *recorder) Abort(err error)                       { r.aborted = err }
func (r *recorder) Tunnel(func(flow.Stream, []byte))      {}

func visit(t testing.TB, target string, fields ...string) (*flow.Exchange, *recorder) {
	t.Helper()
	x := &flow.Exchange{}
	r := &recorder{x: x}
	begin(t, x, r, target, fields...)
	return x, r
}

func begin(t testing.TB, x *flow.Exchange, r flow.Responder, target string, fields ...string) {
	t.Helper()
	client := netip.MustParseAddrPort("10.1.2.3:5555")
	x.Begin(&flow.Conn{Client: client, Peer: client, Local: netip.MustParseAddrPort("127.0.0.1:9001")}, r)
	x.Record.Client = client
	x.Req.Method, x.Req.Scheme, x.Req.Authority = "GET", "http", []byte("Shop.example.com:8080")
	x.Req.Host, x.Req.Original = x.Req.HostOf(x.Req.Authority), []byte(target)
	if err := x.Req.SetTarget(x.Req.Original); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		x.Req.Header.Add(fields[i], fields[i+1])
	}
}

// node fills a directive in as dsl/check does: arguments in the spec's order,
// absent ones with their default. A word "name=value" after "|" is an option.
func node(t testing.TB, m Module, variant string, args []string, options ...config.Node) *config.Node {
	t.Helper()
	n := &config.Node{Word: m.Spec.Name, Variant: variant, Range: diag.Range{File: "Lbfile"}, Options: options}
	specs := m.Spec.Args
	if variant != "" {
		specs = append(specs[:len(specs):len(specs)], m.Spec.VariantNamed(variant).Args...)
	}
	for i, s := range specs {
		text := s.Default
		if i < len(args) && args[i] != "" {
			text = args[i]
		}
		n.Args = append(n.Args, value(s.Kind, text))
		for j := i + 1; s.Variadic && j < len(args); j++ {
			n.Args = append(n.Args, value(s.Kind, args[j]))
		}
	}
	for _, o := range m.Spec.Options {
		if o.Default != "" && n.Option(o.Name) == nil {
			n.Options = append(n.Options, option(o.Name, strings.Trim(o.Default, `"`)))
		}
	}
	return n
}

func value(k spec.Kind, text string) config.Value {
	v := config.Value{Kind: k, Text: text}
	switch k {
	case spec.Duration:
		d, _ := time.ParseDuration(text)
		v.Int = int64(d)
	case spec.Status:
		for _, c := range text {
			v.Int = v.Int*10 + int64(c-'0')
		}
	}
	return v
}

func option(name string, args ...string) config.Node {
	n := config.Node{Word: name}
	for _, a := range args {
		n.Args = append(n.Args, config.Value{Text: a})
	}
	return n
}

func build(t testing.TB, m Module, variant string, args ...string) flow.Handler {
	t.Helper()
	h, err := m.New(node(t, m, variant, args), &Env{Errors: &ErrorPages{}, Forwarded: &Forwarded{}})
	if err != nil {
		t.Fatalf("%s %v: %v", m.Spec.Name, args, err)
	}
	return h
}

func refused(t testing.TB, want string, m Module, variant string, args ...string) {
	t.Helper()
	_, err := m.New(node(t, m, variant, args), &Env{Errors: &ErrorPages{}, Forwarded: &Forwarded{}})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s %q: error %v, want %q", m.Spec.Name, args, err, want)
	}
}

func flags(x *flow.Exchange) string { return string([]byte{x.Record.Cause, x.Record.Phase}) }

func TestRespond(t *testing.T) {
	tests := []struct {
		args   []string
		status int
		body   string
	}{
		{nil, 200, ""},
		{[]string{"404"}, 404, ""},
		{[]string{"", "hello from {server.port}\n"}, 200, "hello from 9001\n"},
		{[]string{"200", "ok"}, 200, "ok"},
		{[]string{"204"}, 204, ""},
	}
	for _, tt := range tests {
		x, r := visit(t, "/")
		done, err := build(t, Respond, "", tt.args...).Handle(x)
		if !done || err != nil || x.Resp.Status != tt.status || r.body.String() != tt.body || !r.finished || flags(x) != "LR" {
			t.Errorf("respond %q: %d %q %s (%v %v)", tt.args, x.Resp.Status, r.body.String(), flags(x), done, err)
		}
		if x.Resp.ContentLength != int64(len(tt.body)) {
			t.Errorf("respond %q: content-length %d", tt.args, x.Resp.ContentLength)
		}
	}
	refused(t, "final answers", Respond, "", "100")
	refused(t, "has no body", Respond, "", "204", "x")
	refused(t, "unknown placeholder", Respond, "", "200", "{client.adress}")

	h, err := Respond.New(node(t, Respond, "", []string{"200", "<p>{http.header.x}</p>"}, option("type", "text/html")), nil)
	if err != nil {
		t.Fatal(err)
	}
	x, r := visit(t, "/", "X", "<script>")
	if _, err := h.Handle(x); err != nil || r.body.String() != "<p>&lt;script&gt;</p>" || string(x.Resp.Header.Get("content-type")) != "text/html" {
		t.Errorf("html: %q %v", r.body.String(), err)
	}
}

func TestRedirect(t *testing.T) {
	tests := []struct{ to, status, target, location string }{
		{"https://{http.host}{http.uri}", "301", "/a%20b?c=d", "https://shop.example.com/a%20b?c=d"},
		{"{http.scheme}://www.{http.host}{http.uri}", "", "/a", "http://www.shop.example.com/a"},
		{"/new", "308", "/old", "/new"},
		{"{http.uri}", "", "//evil.example/x", "/evil.example/x"},
		{"/{http.query.next}", "", "/?next=/evil.example", "/%2Fevil.example"},
		{"/{http.path}", "", "/evil.example", "/evil.example"},
		{"/login?next={http.query.next}", "303", "/?next=http://evil", "/login?next=http%3A%2F%2Fevil"},
		{"https://example.com/{http.header.x-a}", "307", "/", "https://example.com/a%0D%0ASet-Cookie%3A%20b"},
		{"https://example.com{http.path}", "", "/a%0d%0ab%20%3f", "https://example.com/a%0D%0Ab%20%3F"},
	}
	for _, tt := range tests {
		x, r := visit(t, tt.target, "X-A", "a\r\nSet-Cookie: b")
		done, err := build(t, Redirect, "", tt.to, tt.status).Handle(x)
		want := map[string]int{"": 302, "301": 301, "303": 303, "307": 307, "308": 308}[tt.status]
		if loc := string(x.Resp.Header.GetID(flow.FieldLocation)); !done || err != nil || loc != tt.location || x.Resp.Status != want || flags(x) != "LR" || !r.finished {
			t.Errorf("redirect %s: %d %q, want %q (%v)", tt.to, x.Resp.Status, loc, tt.location, err)
		}
	}
	for _, to := range []string{
		"{http.query.next}", "http://{http.header.x}/", "//{http.cookie.c}", "https://example.com{http.query.x}",
		"{http.scheme}://{http.query.x}/", "https://a.{http.header.x}", "{http.query}",
	} {
		refused(t, "open redirect", Redirect, "", to)
	}
	refused(t, "percent-encoded", Redirect, "", "/a b")
	refused(t, "percent-encoded", Redirect, "", "/a\r\nb")
	refused(t, "no status of a redirection", Redirect, "", "/a", "200")
}

func TestDenyAndPages(t *testing.T) {
	env := &Env{Errors: &ErrorPages{}, Forwarded: &Forwarded{}}
	file := filepath.Join(t.TempDir(), "down.json")
	if err := os.WriteFile(file, []byte(`{"down":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*config.Node{
		node(t, Error, "", []string{"5xx", "<h1>{http.response.status} {http.path}</h1>"}),
		node(t, Error, "", []string{"502-503,504"}, option("file", file)),
		node(t, Error, "", []string{"404", "plain {http.path}"}, option("type", "text/plain")),
	} {
		if h, err := Error.New(n, env); h != nil || err != nil {
			t.Fatal(h, err)
		}
	}
	tests := []struct {
		err               error
		status            int
		flags, kind, body string
	}{
		{&flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 403}, 403, "PR", "text/html", "403 Forbidden"},
		{&flow.Error{Side: flow.SideServer, Phase: flow.PhaseConnect}, 503, "SC", "application/json", `{"down":true}`},
		{&flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Timeout: true}, 504, "sH", "application/json", `{"down":true}`},
		{&flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 404}, 404, "PR", "text/plain", "plain /<b>"},
		{errors.New("what"), 500, "PR", "text/html; charset=utf-8", "/&lt;b&gt;</h1>"},
		{ErrNoRoute, 503, "SC", "application/json", `{"down":true}`},
		{&flow.Error{Side: flow.SideClient, Phase: flow.PhaseRequest, Status: 499}, 499, "CR", "text/html", "499 Error"},
	}
	for _, tt := range tests {
		x, r := visit(t, "/<b>")
		x.Resp.Header.Add("Content-Type", "image/png") // of a server's answer that came to nothing
		x.Resp.Header.Add("Set-Cookie", "a=b")
		env.Errors.Fail(x, tt.err)
		if x.Resp.Status != tt.status || flags(x) != tt.flags || !strings.Contains(r.body.String(), tt.body) || !r.finished {
			t.Errorf("%v: %d %s %q", tt.err, x.Resp.Status, flags(x), r.body.String())
		}
		h := &x.Resp.Header
		if string(h.Get("Content-Type")) != tt.kind || string(h.Get("Cache-Control")) != "no-store" || h.HasID(flow.FieldSetCookie) {
			t.Errorf("%v: %s %s", tt.err, h.Get("Content-Type"), h.Get("Cache-Control"))
		}
	}
	x, r := visit(t, "/")
	if done, err := build(t, Deny, "").Handle(x); done || err == nil {
		t.Error("not denied")
	} else if (*ErrorPages)(nil).Fail(x, err); x.Resp.Status != 403 || flags(x) != "PR" || x.Record.Err == nil {
		t.Errorf("denied with %d %s", x.Resp.Status, flags(x))
	}
	if x.Req.Method = "GET"; r.body.Len() == 0 {
		t.Error("no body")
	}
	refused(t, "400 to 599", Deny, "", "200")
	refused(t, "set of statuses", Error, "", "5x", "b")
	refused(t, "400 to 599", Error, "", "200", "b")
	refused(t, "either a body or a file", Error, "", "503")
}

func TestErrorFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "none"):            "no such file",
		dir:                                   "no regular file",
		write("big", make([]byte, maxPage+1)): "larger than 1 MiB",
		write("503.http", []byte("HTTP/1.0 503 x\r\n\r\n<p>")): "body only",
	} {
		n := node(t, Error, "", []string{"503"}, option("file", file))
		if _, err := Error.New(n, &Env{Errors: &ErrorPages{}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
	// A relative name starts at the file that the directive stands in.
	write("page.txt", []byte("x"))
	n := node(t, Error, "", []string{"503"}, option("file", "page.txt"))
	n.Options[0].Args[0].Range.File = filepath.Join(dir, "Lbfile")
	if _, err := Error.New(n, &Env{Errors: &ErrorPages{}}); err != nil {
		t.Error(err)
	}
}

func TestStartedAnswerIsCut(t *testing.T) {
	x, r := visit(t, "/")
	x.Resp.Status = 200
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	new(ErrorPages).Respond(x, &flow.Error{Side: flow.SideServer, Phase: flow.PhaseData})
	if r.aborted == nil || x.Record.Status != 200 || flags(x) != "SD" || r.body.Len() != 0 {
		t.Errorf("aborted %v status %d flags %s", r.aborted, x.Record.Status, flags(x))
	}
}

func TestTarpit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, Tarpit, "", "30s")
		x, _ := visit(t, "/")
		start := time.Now()
		_, err := h.Handle(x)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("held for %v", d)
		}
		new(ErrorPages).Fail(x, err)
		if x.Resp.Status != 500 || flags(x) != "PT" {
			t.Errorf("%d %s", x.Resp.Status, flags(x))
		}
		x, _ = visit(t, "/")
		x.Conn.Source = new(flow.Source)
		x.Conn.Source.Store(&flow.Binding{})
		go func() {
			time.Sleep(time.Second)
			x.Conn.Source.Store(&flow.Binding{Draining: true})
		}()
		start = time.Now()
		if _, err := h.Handle(x); err == nil {
			t.Error("not refused")
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("held for %v while draining", d)
		}
	})
}

func TestHeader(t *testing.T) {
	x, r := visit(t, "/a%0d%0aX-Evil:1", "X-Old", "1", "X-Old", "2", "X-Client", "a\r\nb")
	run := func(variant string, args ...string) {
		t.Helper()
		if done, err := build(t, Header, variant, args...).Handle(x); done || err != nil {
			t.Fatal(args, done, err)
		}
	}
	run("request", "-X-Old")
	run("request", "X-New", "{http.path}")
	run("request", "+X-New", "second")
	run("response", "X-A", "1")
	run("response", "+X-A", "2 {http.header.x-client}")
	run("response", "-Server")
	run("response", "X-Status", "{http.response.status}")
	if h := &x.Req.Header; h.Get("X-Old") != nil || string(h.Get("X-New")) != "/aX-Evil:1" || len(collect(h, "X-New")) != 2 {
		t.Errorf("request: %q", collect(h, "X-New"))
	}
	x.Resp.Header.Add("Server", "origin")
	// The edits must not disturb a body that lies in Scratch.
	if _, err := build(t, Respond, "", "", "body of {http.host}").Handle(x); err != nil {
		t.Fatal(err)
	}
	h := &x.Resp.Header
	if got := collect(h, "X-A"); strings.Join(got, "|") != "1|2 ab" || h.HasID(flow.FieldServer) || string(h.Get("X-Status")) != "200" {
		t.Errorf("response: %q, Server %q", got, h.Get("Server"))
	}
	if r.body.String() != "body of shop.example.com" {
		t.Errorf("body %q", r.body.String())
	}
	for name, want := range map[string]string{
		"Content-Length": "frames", "transfer-encoding": "frames", "+Connection": "one connection", "-Upgrade": "one connection",
		"content_length": "frames", "X A": "no field name", "": "no field name", "+": "no field name", "X-A": "missing",
	} {
		arg := "v"
		if want == "missing" || strings.HasPrefix(name, "-") {
			arg = ""
		}
		refused(t, want, Header, "response", name, arg)
	}
	refused(t, "no value", Header, "response", "-X", "v")
	refused(t, "control", Header, "response", "X", "a\nb")
	refused(t, "one Host", Header, "request", "-Host")
}

func collect(h *flow.Header, name string) (out []string) {
	for v := range h.Values(name) {
		out = append(out, string(v))
	}
	return out
}

func TestHeaderHost(t *testing.T) {
	x, _ := visit(t, "/", "Host", "Shop.example.com:8080", "X-Host", "evil/../")
	if _, err := build(t, Header, "request", "Host", "Origin.internal").Handle(x); err != nil {
		t.Fatal(err)
	}
	if string(x.Req.Host) != "origin.internal" || string(x.Req.Header.Get("Host")) != "Origin.internal" {
		t.Errorf("%s %s", x.Req.Host, x.Req.Header.Get("Host"))
	}
	_, err := build(t, Header, "request", "Host", "{http.header.x-host}").Handle(x)
	var fe *flow.Error
	if !errors.As(err, &fe) || fe.StatusCode() != 400 {
		t.Errorf("a host that is none: %v", err)
	}
}

func TestRewrite(t *testing.T) {
	tests := []struct{ variant, arg, in, target, path string }{
		{"to", "/index.html", "/a?b=c", "/index.html?b=c", "/index.html"},
		{"to", "/index.html?", "/a?b=c", "/index.html?", "/index.html"},
		{"to", "/x?u={http.path}&{http.query}", "/a%26%20b?c=d", "/x?u=/a&%20b&c=d", "/x"},
		{"to", "/v2{http.uri}", "/a%2Fb?c", "/v2/a%2Fb?c", "/v2/a/b"},
		{"to", "/v2{http.path}", "/a%20%3f%25b", "/v2/a%20%3F%25b", "/v2/a ?%b"},
		{"to", "{http.path}", "/a//b", "/a/b", "/a/b"},
		{"to", "/{http.query.p}", "/?p=../x/..", "/..%2Fx%2F..", ""},
		{"strip_prefix", "/api", "/api/x?q", "/x?q", "/x"},
		{"strip_prefix", "/api/", "/%61pi", "/", "/"},
		{"strip_prefix", "/api", "/apix", "/apix", "/apix"},
		{"strip_prefix", "/api", "/api%2fx", "", ""},
		{"add_prefix", "/v2", "/a%2Fb?q", "/v2/a%2Fb?q", "/v2/a/b"},
		{"add_prefix", "/v2", "*", "*", "*"},
	}
	for _, tt := range tests {
		x, _ := visit(t, tt.in)
		done, err := build(t, Rewrite, tt.variant, tt.arg).Handle(x)
		var fe *flow.Error
		if tt.path == "" {
			if !errors.As(err, &fe) || fe.StatusCode() != 400 {
				t.Errorf("%s %s of %s: %v, path %s", tt.variant, tt.arg, tt.in, err, x.Req.Path)
			}
			continue
		}
		if done || err != nil || string(x.Req.Target) != tt.target || string(x.Req.Path) != tt.path {
			t.Errorf("%s %s of %s: target %s path %s (%v)", tt.variant, tt.arg, tt.in, x.Req.Target, x.Req.Path, err)
		}
	}
	refused(t, "begins with a slash", Rewrite, "to", "index.html")
	refused(t, "begins with a slash", Rewrite, "to", "{http.query.x}")
	refused(t, "fragment", Rewrite, "to", "/a#b")
	refused(t, "no request target", Rewrite, "to", "/a b")
	for _, bad := range []string{"", "/", "api", "/a//b", "/a/../b", "/%61", "/a?b"} {
		refused(t, "no path prefix", Rewrite, "strip_prefix", bad)
	}
}

func TestHandleBuildsItsBody(t *testing.T) {
	body := []config.Node{{Word: "respond"}}
	var got []config.Node
	env := &Env{Chain: func(b []config.Node) (flow.Handler, error) { got = b; return deny{}, nil }}
	if h, err := Handle.New(&config.Node{Body: body}, env); h != (deny{}) || err != nil || len(got) != 1 {
		t.Errorf("%v %v %v", h, err, got)
	}
}

func TestHandlersDoNotAllocate(t *testing.T) {
	handlers := map[string]flow.Handler{
		"respond":  build(t, Respond, "", "200", "hello {client.ip}"),
		"redirect": build(t, Redirect, "", "https://{http.host}{http.uri}"),
		"deny":     build(t, Deny, ""),
		"set":      build(t, Header, "response", "X-A", "{client.ip}"),
		"add":      build(t, Header, "request", "+X-A", "{client.ip}"),
		"host":     build(t, Header, "request", "Host", "Other.example"),
		"delete":   build(t, Header, "request", "-X-A"),
		"rewrite":  build(t, Rewrite, "to", "/new{http.uri}"),
		"strip":    build(t, Rewrite, "strip_prefix", "/api"),
		"add path": build(t, Rewrite, "add_prefix", "/v2"),
	}
	x, r := visit(t, "/")
	conn := x.Conn
	target := []byte("/api/a?b")
	authority := []byte("Shop.example.com")
	for name, h := range handlers {
		if n := testing.AllocsPerRun(100, func() {
			x.Begin(conn, r)
			r.body.Reset()
			x.Req.Method, x.Req.Authority = "GET", authority
			x.Req.Host = x.Req.HostOf(authority)
			if x.Req.SetTarget(target) != nil {
				t.Fatal("refused")
			}
			if done, _ := h.Handle(x); !done {
				_ = x.Respond(200, "", nil)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
