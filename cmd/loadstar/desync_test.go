package main_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// desync is one request that a careless proxy and its server read differently.
type desync struct {
	name string
	raw  string
	// status is what the client must be told; several are allowed where the
	// standard leaves a choice.
	status []int
	// forwarded tells that one message may reach the server, as want.
	forwarded bool
	target    string // of the forwarded message
	body      string
	// cut: the head may have been forwarded before the fault showed, but then
	// the message must not look complete.
	cut bool
}

func post(fields, body string) string {
	return "POST /case HTTP/1.1\r\nHost: www.example\r\n" + fields + "\r\n" + body
}

func get(fields string) string {
	return "GET /case HTTP/1.1\r\nHost: www.example\r\n" + fields + "\r\n"
}

// smuggled stands behind what one reader takes for a body's end. If it arrives
// as a request, the two disagreed.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: www.example\r\n\r\n"

var (
	bad  = []int{400}
	good = []int{200}
)

// framingCases: RFC 9112 §6.3 and §7.1.
func framingCases() []desync {
	cases := []desync{
		{name: "length and chunked", raw: post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled), status: bad},
		{name: "chunked and length", raw: post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"+smuggled), status: bad},
		{name: "two lengths", raw: post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), status: bad},
		{name: "two lengths, lesser second", raw: post("Content-Length: 6\r\nContent-Length: 5\r\n", "hello!"), status: bad},
		{name: "length twice among others", raw: post("Content-Length: 0\r\nX: y\r\ncontent-length: 46\r\n", smuggled), status: bad},
		{name: "chunked in HTTP/1.0", raw: "POST /case HTTP/1.0\r\nHost: www.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: bad},
		{name: "plain length", raw: post("Content-Length: 5\r\n", "hello"), status: good, forwarded: true, target: "/case", body: "hello"},
		{name: "plain chunked", raw: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), status: good, forwarded: true, target: "/case", body: "hello"},
		{name: "chunks with an extension", raw: post("Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n"), status: good, forwarded: true, target: "/case", body: "hello"},
		{name: "leading zeros of a chunk size", raw: post("Transfer-Encoding: chunked\r\n", "0005\r\nhello\r\n0\r\n\r\n"), status: good, forwarded: true, target: "/case", body: "hello"},
	}
	for _, v := range []string{"5, 5", "5,6", "5,", ",5", "+5", "-5", "0x5", "5_0", "", "5 5", "5.0", "5e0", "5\t5", "five", "18446744073709551621", "99999999999999999999999"} {
		cases = append(cases, desync{name: "length " + v, raw: post("Content-Length: "+v+"\r\n", "hello"), status: bad})
	}
	for _, v := range []string{",chunked", "chunked,", "chunked, identity", "identity", "\x0bchunked", "chunked\x0b", "chunked, chunked", "gzip, chunked", "gzip", "xchunked", "chunked;q=1", "\"chunked\"", "", "chunked foo"} {
		cases = append(cases, desync{name: "coding " + v, raw: post("Transfer-Encoding: "+v+"\r\n", "5\r\nhello\r\n0\r\n\r\n"+smuggled), status: []int{400, 501}})
	}
	cases = append(cases, desync{
		name: "chunked in two fields", raw: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), status: bad,
	})
	for _, v := range []string{"+5", "-5", "0x5", " 5", "5 ", "5\t", "", "g", "5,", "FFFFFFFFFFFFFFFFF", "10000000000000005", "5;a\x00b", "5;a\rb"} {
		cases = append(cases, desync{
			name: "chunk size " + v, raw: post("Transfer-Encoding: chunked\r\n", v+"\r\nhello\r\n0\r\n\r\n"+smuggled), status: bad, cut: true,
		})
	}
	for name, body := range map[string]string{
		"bare LF after the size":    "5\nhello\r\n0\r\n\r\n",
		"bare LF after the data":    "5\r\nhello\n0\r\n\r\n",
		"bare LF after the last":    "5\r\nhello\r\n0\n\r\n",
		"bare LF at the end":        "5\r\nhello\r\n0\r\n\n",
		"bare CR after the size":    "5\rhello\r\n0\r\n\r\n",
		"data longer than its size": "5\r\nhello!\r\n0\r\n\r\n",
		"data without its end":      "5\r\nhello0\r\n\r\n",
		"broken trailer":            "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
		"folded trailer":            "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
	} {
		cases = append(cases, desync{name: name, raw: post("Transfer-Encoding: chunked\r\n", body+smuggled), status: bad, cut: true})
	}
	return cases
}

// fieldCases: RFC 9112 §5 and RFC 9110 §5.
func fieldCases() []desync {
	var cases []desync
	for name, line := range map[string]string{
		"bare CR in a value":         "A: b\rc\r\n",
		"bare CR before a name":      "\rA: b\r\n",
		"bare LF ends a field":       "A: b\nC: d\r\n",
		"folded":                     "A: b\r\n c\r\n",
		"folded first":               " A: b\r\n",
		"NUL in a value":             "A: b\x00c\r\n",
		"control in a value":         "A: b\x01c\r\n",
		"DEL in a value":             "A: b\x7fc\r\n",
		"blank before the colon":     "A : b\r\n",
		"tab before the colon":       "A\t: b\r\n",
		"length, blank before colon": "Content-Length : 5\r\n",
		"coding, blank before colon": "Transfer-Encoding : chunked\r\n",
		"empty name":                 ": b\r\n",
		"no colon":                   "novalue\r\n",
		"blank in a name":            "A B: c\r\n",
		"control in a name":          "A\x01: c\r\n",
		"high byte in a name":        "A\xe9: c\r\n",
		"separator in a name":        "A(B): c\r\n",
		"bare LF ends the head":      "A: b\r\n\n",
	} {
		cases = append(cases, desync{name: name, raw: get(line), status: bad})
	}
	cases = append(cases,
		desync{name: "LF only", raw: "GET /case HTTP/1.1\nHost: www.example\n\n", status: bad},
		desync{name: "LF after the request line", raw: "GET /case HTTP/1.1\nHost: www.example\r\n\r\n", status: bad},
		desync{name: "no fault", raw: get("A:b\r\nB: \tc \r\n"), status: good, forwarded: true, target: "/case"},
	)
	for name, host := range map[string]string{
		"missing": "", "empty": "Host: \r\n", "twice": "Host: a.example\r\nHost: a.example\r\n", "two names": "Host: a.example\r\nHost: b.example\r\n",
		"userinfo": "Host: user@a.example\r\n", "comma": "Host: a.example, b.example\r\n", "path": "Host: a.example/x\r\n",
		"blank": "Host: a b\r\n", "bad port": "Host: a.example:80x\r\n", "fragment": "Host: a.example#x\r\n", "query": "Host: a.example?x\r\n",
	} {
		cases = append(cases, desync{name: "host " + name, raw: "GET /case HTTP/1.1\r\n" + host + "\r\n", status: bad})
	}
	return cases
}

// lineCases: RFC 9112 §3.
func lineCases() []desync {
	var cases []desync
	for _, target := range []string{"/a#b", "/a\x01b", "/a\x7fb", "/a%00b", `/a\b`, "/a..;/b", "/a/..;/b", "/..;/b", "a", "", "/a b", "*"} {
		cases = append(cases, desync{name: "target " + target, raw: "GET " + target + " HTTP/1.1\r\nHost: www.example\r\n\r\n", status: bad})
	}
	for _, line := range []string{
		"GET /case", "GET /case HTTP/1.1 x", "GET  /case HTTP/1.1", "GET\t/case\tHTTP/1.1", " GET /case HTTP/1.1", "GET /case http/1.1",
		"GET /case HTTP/1.2x", "GET /case HTTP/11", "GET /case HTTP/1", "GET /case HTTP/+1.1", "G(T /case HTTP/1.1", "G\x00T /case HTTP/1.1", "/case HTTP/1.1",
		"GET /case\rHTTP/1.1", "GET /case HTTP/1.1\r",
	} {
		cases = append(cases, desync{name: "line " + line, raw: line + "\r\nHost: www.example\r\n\r\n", status: []int{400, 505}})
	}
	for _, v := range []string{"2.0", "3.0", "0.9"} {
		cases = append(cases, desync{name: "version " + v, raw: "GET /case HTTP/" + v + "\r\nHost: www.example\r\n\r\n", status: []int{400, 505}})
	}
	return append(cases,
		desync{name: "absolute form, other host", raw: "GET http://a.example/case HTTP/1.1\r\nHost: b.example\r\n\r\n", status: bad},
		desync{name: "absolute form", raw: "GET http://www.example/case HTTP/1.1\r\nHost: www.example\r\n\r\n", status: good, forwarded: true, target: "/case"},
		desync{name: "empty line before", raw: "\r\n" + get(""), status: good, forwarded: true, target: "/case"},
	)
}

// TestDesync is the forwarded-bytes oracle: what Loadstar refuses never reaches
// the server, and what it forwards is one message, the same to another parser.
func TestDesync(t *testing.T) {
	port, o := front(t)
	others := parsers(t)
	for _, group := range [][]desync{framingCases(), fieldCases(), lineCases()} {
		for _, c := range group {
			t.Run(strings.ToValidUTF8(c.name, "?"), func(t *testing.T) { c.check(t, port, o, others) })
		}
	}
}

func (d desync) check(t *testing.T, port int, o *e2e.Origin, others []parser) {
	c := e2e.Dial(t, port)
	c.Send(d.raw)
	if !slices.Contains(d.status, 200) {
		c.CloseWrite() // what is left to wait for is the answer
	}
	a := c.Answer("GET")
	if !slices.Contains(d.status, a.Status) && !(d.cut && a.Status == 0) {
		t.Errorf("status %d (%v), want %v", a.Status, a.Err, d.status)
	}
	if a.Status >= 400 && !a.Close {
		t.Error("the refusal does not say that the connection ends")
	}
	if a.Status >= 400 && !c.Closed() {
		t.Error("the connection stays, or more than one answer came")
	}
	c.Close()
	messages, broken := o.Settled(t, port)
	if len(broken) > 0 {
		t.Errorf("bytes that are no request were forwarded: %q", broken)
	}
	agreed(t, others, messages)
	switch {
	case d.forwarded:
		d.sameMessage(t, messages)
	case d.cut && len(messages) == 1 && !messages[0].Complete && messages[0].Target == "/case":
	case len(messages) > 0:
		for _, m := range messages {
			t.Errorf("forwarded (complete: %v): %q", m.Complete, m.Raw)
		}
	}
}

// agreed has the other parsers read what was forwarded as whole.
func agreed(t *testing.T, others []parser, messages []e2e.Message) {
	t.Helper()
	for _, m := range messages {
		for _, p := range others {
			if !m.Complete {
				continue
			}
			if err := p.agrees(m); err != nil {
				t.Error(err)
			}
		}
	}
}

func (d desync) sameMessage(t *testing.T, messages []e2e.Message) {
	t.Helper()
	if len(messages) != 1 {
		t.Fatalf("%d messages were forwarded, want 1: %+v", len(messages), messages)
	}
	m := messages[0]
	method, _, _ := strings.Cut(strings.TrimLeft(d.raw, "\r\n"), " ")
	if m.Method != method || m.Target != d.target || m.Host != "www.example" || m.Body != d.body || !m.Complete {
		t.Errorf("forwarded as %s %s, host %s, body %q (complete: %v)", m.Method, m.Target, m.Host, m.Body, m.Complete)
	}
}
