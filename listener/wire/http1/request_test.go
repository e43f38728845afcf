package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// parsed is a request with room of its own.
type parsed struct {
	r  flow.Request
	hd Head
}

// parse reads one head as a codec does; rest is what follows it.
func (p *parsed) parse(raw []byte) (rest []byte, err error) {
	end, _, err := HeadEnd(raw, 0)
	if err != nil {
		return nil, err
	}
	if end == 0 {
		return nil, ErrMore
	}
	var x flow.Exchange
	x.Begin(nil, nil)
	p.r = x.Req
	return raw[end:], ParseRequest(raw[:end:end], 100, &p.r, &p.hd)
}

func statusOf(err error) int {
	var s *SyntaxError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &s):
		return s.Status
	default:
		return -1
	}
}

// head makes a request of a request line and field lines.
func head(line string, fields ...string) string {
	return line + "\r\n" + strings.Join(append(fields, "", ""), "\r\n")
}

func get(fields ...string) string {
	return head("GET /a HTTP/1.1", append([]string{"Host: www.example"}, fields...)...)
}

func post(fields ...string) string {
	return head("POST /a HTTP/1.1", append([]string{"Host: www.example"}, fields...)...)
}

// refused are heads that no two servers must be able to disagree about; 400
// where nothing else is said. (RFC 9112 §3, §5, §6.)
var refused = []struct {
	raw    string
	status int
}{
	// Framing.
	{raw: post("Content-Length: 5", "Transfer-Encoding: chunked")},
	{raw: post("Transfer-Encoding: chunked", "Content-Length: 5")},
	{raw: post("Content-Length: 5", "Content-Length: 6")},
	{raw: post("Content-Length: 5", "Content-Length: 5")},
	{raw: post("Content-Length: 5, 5")},
	{raw: post("Content-Length: 5,6")},
	{raw: post("Content-Length: +5")},
	{raw: post("Content-Length: -5")},
	{raw: post("Content-Length: 0x5")},
	{raw: post("Content-Length: 5_0")},
	{raw: post("Content-Length:")},
	{raw: post("Content-Length: 5 5")},
	{raw: post("Content-Length: 5\t5")},
	{raw: post("Content-Length: 5\x0b")},
	{raw: post("Content-Length: 1234567890123456789")},
	{raw: post("Transfer-Encoding: ,chunked")},
	{raw: post("Transfer-Encoding: chunked,")},
	{raw: post("Transfer-Encoding: chunked, identity")},
	{raw: post("Transfer-Encoding: gzip, chunked")},
	{raw: post("Transfer-Encoding: chunked, chunked")},
	{raw: post("Transfer-Encoding: identity")},
	{raw: post("Transfer-Encoding:")},
	{raw: post("Transfer-Encoding: \x0bchunked")},
	{raw: post("Transfer-Encoding: xchunked")},
	{raw: post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")},
	{raw: post("Transfer-Encoding: chunked", "Transfer-Encoding: identity")},
	{raw: head("POST /a HTTP/1.0", "Host: a", "Transfer-Encoding: chunked")},
	{raw: head("CONNECT a:1 HTTP/1.1", "Host: a:1", "Content-Length: 3")},
	{raw: head("CONNECT a:1 HTTP/1.1", "Host: a:1", "Transfer-Encoding: chunked")},
	{raw: post("Expect: 200-ok", "Content-Length: 1"), status: 417},
	// Lines.
	{raw: "GET /a HTTP/1.1\nHost: a\r\n\r\n"},
	{raw: get("A: b\nC: d")},
	{raw: "GET /a HTTP/1.1\r\nHost: a\r\n\n"},
	{raw: get("A: b\rc")},
	{raw: get("A: b\r")},
	{raw: get("A: b", " c")},
	{raw: get("A: b", "\tc")},
	{raw: get("A: b\x00c")},
	{raw: get("A: b\x01c")},
	{raw: get("A: 12345678\x7f")},
	{raw: get("A: \x1f2345678")},
	{raw: get("A : b")},
	{raw: get("A\t: b")},
	{raw: get("Content-Length : 5")},
	{raw: get(": b")},
	{raw: get("novalue")},
	{raw: get("A B: c")},
	{raw: get("A\xe9: c")},
	{raw: get("A(B): c")},
	// Host.
	{raw: head("GET /a HTTP/1.1", "A: b")},
	{raw: head("GET /a HTTP/1.1", "Host:")},
	{raw: get("Host: www.example")},
	{raw: head("GET /a HTTP/1.0", "Host: a", "Host: a")},
	{raw: head("GET /a HTTP/1.1", "Host: u@a")},
	{raw: head("GET /a HTTP/1.1", "Host: a,b")},
	{raw: head("GET /a HTTP/1.1", "Host: a/x")},
	{raw: head("GET /a HTTP/1.1", "Host: a b")},
	{raw: head("GET /a HTTP/1.1", "Host: a:80x")},
	{raw: head("GET /a HTTP/1.1", "Host: a:65536")},
	{raw: head("GET /a HTTP/1.1", "Host: a:1:2")},
	{raw: head("GET /a HTTP/1.1", "Host: :80")},
	{raw: head("GET /a HTTP/1.1", "Host: [::1")},
	{raw: head("GET /a HTTP/1.1", "Host: [::1]x")},
	{raw: head("GET /a HTTP/1.1", "Host: []")},
	{raw: head("GET http://b/a HTTP/1.1", "Host: a")},
	{raw: head("GET http://u@a/a HTTP/1.1", "Host: u@a")},
	{raw: head("CONNECT b:1 HTTP/1.1", "Host: a:1")},
	{raw: head("CONNECT a HTTP/1.1", "Host: a")},
	// The request line.
	{raw: head("GET  /a HTTP/1.1", "Host: a")},
	{raw: head("GET /a  HTTP/1.1", "Host: a")},
	{raw: head("GET /a b HTTP/1.1", "Host: a")},
	{raw: head("GET\t/a\tHTTP/1.1", "Host: a")},
	{raw: head(" GET /a HTTP/1.1", "Host: a")},
	{raw: head("GET /a", "Host: a")},
	{raw: head("GET /a HTTP/1.1 ", "Host: a")},
	{raw: head("GET /a http/1.1", "Host: a")},
	{raw: head("GET /a HTTP/11", "Host: a")},
	{raw: head("GET /a HTTP/1.1x", "Host: a")},
	{raw: head("G(T /a HTTP/1.1", "Host: a")},
	{raw: head(strings.Repeat("G", 33)+" /a HTTP/1.1", "Host: a")},
	{raw: head("GET /a HTTP/2.0", "Host: a"), status: 505},
	{raw: head("GET /a HTTP/1.2", "Host: a"), status: 505},
	{raw: "\r\n\r\n"},
	{raw: head("GET a HTTP/1.1", "Host: a")},
	{raw: head("GET * HTTP/1.1", "Host: a")},
	{raw: head("GET ftp://a/ HTTP/1.1", "Host: a")},
	{raw: head("GET http://a?x HTTP/1.1", "Host: a")},
	{raw: head("GET /a#b HTTP/1.1", "Host: a")},
	{raw: head("GET /a?b#c HTTP/1.1", "Host: a")},
	{raw: head("GET /a\x01 HTTP/1.1", "Host: a")},
	{raw: head("GET /a\x7f HTTP/1.1", "Host: a")},
	{raw: head("GET /%00 HTTP/1.1", "Host: a")},
	{raw: head("GET /%zz HTTP/1.1", "Host: a")},
	{raw: head(`GET /a\b HTTP/1.1`, "Host: a")},
	{raw: head("GET /a/..;/b HTTP/1.1", "Host: a")},
	// Limits.
	{raw: get(strings.Split(strings.Repeat("A: b\n", 100)+"A: b", "\n")...), status: 431},
	{raw: get(strings.Split(strings.Repeat("TE: b\n", 100)+"TE: b", "\n")...), status: 431},
	{raw: get("Connection: " + strings.Repeat("a,", 101)), status: 431},
	{raw: get(strings.Repeat("n", 1<<16) + ": x")},
}

func TestRequestRefused(t *testing.T) {
	for _, tt := range refused {
		var p parsed
		want := tt.status
		if want == 0 {
			want = 400
		}
		if _, err := p.parse([]byte(tt.raw)); statusOf(err) != want {
			t.Errorf("%.80q: %v, want status %d", tt.raw, err, want)
		}
	}
}

// accepted are heads and what they become on their way to a server.
var accepted = []struct{ name, raw, forwarded string }{
	{"plain", get("A: b"), get("A: b")},
	{"order and case kept", get("b: 1", "A: 2", "B: 3"), get("b: 1", "A: 2", "B: 3")},
	{"blanks around a value", get("A: \t b c \t"), get("A: b c")},
	{"no blank", get("A:b"), get("A: b")},
	{"empty value", get("A:", "B: "), get("A: ", "B: ")},
	{"obs-text", get("A: \xe9"), get("A: \xe9")},
	{"tab inside", get("A: 12345678\t9"), get("A: 12345678\t9")},
	{"HTTP/1.0 without host", head("GET /a HTTP/1.0"), head("GET /a HTTP/1.1", "Host: server:1")},
	{"absolute form", head("GET http://www.example/a HTTP/1.1", "Host: www.example"), get()},
	{"absolute form, no path", head("GET http://www.example HTTP/1.1", "Host: www.example"), head("GET / HTTP/1.1", "Host: www.example")},
	{"absolute form, HTTP/1.0", head("GET http://b/a HTTP/1.0"), head("GET /a HTTP/1.1", "Host: b")},
	{"asterisk", head("OPTIONS * HTTP/1.1", "Host: a"), head("OPTIONS * HTTP/1.1", "Host: a")},
	{"CONNECT", head("CONNECT a:1 HTTP/1.1", "Host: a:1"), head("CONNECT a:1 HTTP/1.1", "Host: a:1")},
	{"IPv6", head("GET / HTTP/1.1", "Host: [::1]:80"), head("GET / HTTP/1.1", "Host: [::1]:80")},
	{"dots resolved", head("GET /a/../b HTTP/1.1", "Host: a"), head("GET /b HTTP/1.1", "Host: a")},
	{"length", post("Content-Length: 5"), post("Content-Length: 5")},
	{"length 0", post("Content-Length: 0"), post("Content-Length: 0")},
	{"chunked", post("Transfer-Encoding: Chunked"), post("Transfer-Encoding: chunked")},
	{"aliases dropped", get("transfer_encoding: chunked", "Content_Length: 5", "x_forwarded_for: 1", "HTTP_x: y"), get("HTTP_x: y")},
	{"hop by hop", get("Connection: close, x-a", "X-A: 1", "TE: trailers", "Keep-Alive: 5", "Proxy-Connection: close"), get()},
	{"guarded from Connection", get("Connection: host, cookie, authorization, x-forwarded-for, x-real-ip, content-length", "Cookie: a=b", "Authorization: x", "X-Forwarded-For: 1"), get("Cookie: a=b", "Authorization: x", "X-Forwarded-For: 1")},
	{"upgrade", get("Connection: Upgrade", "Upgrade: websocket"), get("Connection: Upgrade", "Upgrade: websocket")},
	{"upgrade not named", get("Upgrade: websocket"), get()},
	{"upgrade with a body", post("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5"), post("Content-Length: 5")},
	{"upgrade in HTTP/1.0", head("GET /a HTTP/1.0", "Host: a", "Connection: Upgrade", "Upgrade: x"), head("GET /a HTTP/1.1", "Host: a")},
	{"h2c", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA"), get()},
	{"h2c among others", get("Connection: Upgrade", "Upgrade: websocket, h2c"), get()},
	{"h2c in another line", get("Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket"), get("Connection: Upgrade", "Upgrade: websocket")},
	{"expect", post("Expect: 100-continue", "Content-Length: 5"), post("Expect: 100-continue", "Content-Length: 5")},
	{"expect without a body", get("Expect: 100-continue"), get()},
	{"expect in HTTP/1.0", head("POST /a HTTP/1.0", "Host: a", "Expect: x", "Content-Length: 5"), head("POST /a HTTP/1.1", "Host: a", "Content-Length: 5")},
	{"a hundred fields", get(strings.Split(strings.Repeat("A: b\n", 98)+"A: b", "\n")...), get(strings.Split(strings.Repeat("A: b\n", 98)+"A: b", "\n")...)},
}

func TestRequestForwarded(t *testing.T) {
	for _, tt := range accepted {
		var p parsed
		if _, err := p.parse([]byte(tt.raw)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := string(AppendRequest(nil, &p.r, "server:1")); got != tt.forwarded {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.forwarded)
		}
	}
}

func TestKeepsAlive(t *testing.T) {
	for _, tt := range []struct {
		raw  string
		want bool
	}{
		{get(), true},
		{get("Connection: close"), false},
		{get("Connection: foo , Close"), false},
		{get("Connection: keep-alive", "Connection: close"), false},
		{head("GET / HTTP/1.0"), false},
		{head("GET / HTTP/1.0", "Connection: Keep-Alive"), true},
		{head("GET / HTTP/1.0", "Proxy-Connection: keep-alive"), false},
		{head("GET / HTTP/1.0", "Connection: keep-alive, close"), false},
	} {
		var p parsed
		if _, err := p.parse([]byte(tt.raw)); err != nil || p.hd.KeepsAlive() != tt.want {
			t.Errorf("%q: %v, %v", tt.raw, p.hd.KeepsAlive(), err)
		}
	}
}

// A module's word on the length never differs from how the message is framed.
func TestHeaderCannotContradictFraming(t *testing.T) {
	for _, fields := range [][]string{{"5"}, {"3", "3"}, {"3", "5"}, {"0x3"}, {"3"}, nil} {
		var p parsed
		if _, err := p.parse([]byte(post("Content-Length: 3"))); err != nil {
			t.Fatal(err)
		}
		var resp flow.Response
		p.r.Header.DelID(flow.FieldContentLength)
		for _, v := range fields {
			p.r.Header.Add("Content-Length", v)
			resp.Header.Add("content-length", v)
		}
		resp.Status = 200
		for _, got := range []string{
			string(AppendRequest(nil, &p.r, "")), string(AppendResponse(nil, &resp, AnswerFraming{Length: 3})),
		} {
			if strings.Count(strings.ToLower(got), "content-length: ") != 1 || !strings.Contains(strings.ToLower(got), "content-length: 3\r\n") {
				t.Errorf("%v: %q", fields, got)
			}
		}
		if got := string(AppendResponse(nil, &resp, AnswerFraming{Length: -1, Chunked: true})); strings.Contains(strings.ToLower(got), "content-length") {
			t.Errorf("chunked, %v: %q", fields, got)
		}
	}
}

// oracle holds a request that was taken, and its body, against net/http: what
// is forwarded must be exactly one request that says the same.
func oracle(t *testing.T, p *parsed, rest []byte) {
	t.Helper()
	body, framed, complete := readBody(&p.r, rest)
	if !complete {
		return
	}
	wire := append(AppendRequest(nil, &p.r, "server:1"), framed...)
	br := bufio.NewReader(bytes.NewReader(wire))
	req, err := http.ReadRequest(br)
	if err != nil {
		// What net/http refuses for its own reasons reaches no Go server
		// wrongly: a target that it cannot parse.
		if strings.Contains(err.Error(), "invalid URL") || strings.Contains(err.Error(), "invalid URI") {
			return
		}
		t.Fatalf("net/http: %v\nin  %q\nout %q", err, p.r.Original, wire)
	}
	got, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatalf("net/http, body: %v\n%q", err, wire)
	}
	if req.Method != p.r.Method || req.RequestURI != string(p.r.Target) || !bytes.Equal(got, body) {
		t.Fatalf("net/http read %s %s %q\nof %q", req.Method, req.RequestURI, got, wire)
	}
	host := string(p.r.Authority)
	if host == "" {
		host = "server:1"
	}
	if req.Host != host {
		t.Fatalf("host %q, want %q, of %q", req.Host, host, wire)
	}
	if n := br.Buffered(); n > 0 {
		t.Fatalf("%d bytes behind the request in %q", n, wire)
	}
}

// readBody decodes a body, and frames it again as a transport does.
func readBody(r *flow.Request, rest []byte) (body, framed []byte, complete bool) {
	switch {
	case r.ContentLength >= 0:
		if int64(len(rest)) < r.ContentLength {
			return nil, nil, false
		}
		return rest[:r.ContentLength], rest[:r.ContentLength], true
	default:
		body, tail, err := decode(rest, len(rest)+1)
		if err != io.EOF {
			return nil, nil, false
		}
		end, _, err := TrailerEnd(tail, 0)
		var h flow.Header
		if err != nil || end == 0 || ParseTrailer(tail[:end:end], 100, &h) != nil {
			return nil, nil, false
		}
		if len(body) > 0 {
			framed = append(append(AppendChunkSize(nil, len(body)), body...), "\r\n"...)
		}
		return body, AppendLastChunk(framed, &h), true
	}
}

func TestDifferential(t *testing.T) {
	for _, tt := range accepted {
		var p parsed
		rest, err := p.parse([]byte(tt.raw + "5\r\nhello\r\n0\r\nA: b\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		oracle(t, &p, rest)
	}
}

func FuzzRequest(f *testing.F) {
	for _, tt := range accepted {
		f.Add([]byte(tt.raw + "5\r\nhello\r\n0\r\n\r\n"))
	}
	for _, tt := range refused {
		if len(tt.raw) < 1000 {
			f.Add([]byte(tt.raw))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p parsed
		rest, err := p.parse(raw)
		if err != nil {
			return
		}
		oracle(t, &p, rest)
	})
}

func TestRequestAllocations(t *testing.T) {
	raw := []byte(head("POST /path/to/it?query=1 HTTP/1.1", "Host: www.example:8080", "User-Agent: test/1.0", "Accept: */*",
		"Connection: keep-alive", "Cookie: a=b; c=d", "Content-Length: 10", "X-Own: some value"))
	var x flow.Exchange
	var hd Head
	out := make([]byte, 0, 4096)
	run := func() {
		x.Begin(nil, nil)
		end, _, _ := HeadEnd(raw, 0)
		if err := ParseRequest(raw[:end:end], 100, &x.Req, &hd); err != nil {
			t.Fatal(err)
		}
		out = AppendRequest(out[:0], &x.Req, "server:1")
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations to read and write a request", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	raw := []byte(get("User-Agent: test/1.0", "Accept: */*", "Accept-Encoding: gzip, br", "Cookie: session=0123456789abcdef; theme=dark"))
	var x flow.Exchange
	var hd Head
	out := make([]byte, 0, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		x.Begin(nil, nil)
		end, _, _ := HeadEnd(raw, 0)
		if err := ParseRequest(raw[:end:end], 100, &x.Req, &hd); err != nil {
			b.Fatal(err)
		}
		out = AppendRequest(out[:0], &x.Req, "server:1")
	}
}
