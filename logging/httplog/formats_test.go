package httplog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
)

// site makes a format as a site gets it, and the captures that it asked for.
func site(t testing.TB, name string) (logging.Format, *flow.Captures) {
	t.Helper()
	c := &flow.Captures{}
	field := func(f flow.Capture) int { c.Fields = append(c.Fields, f); return len(c.Fields) - 1 }
	for _, m := range Modules() {
		if m.Name == name {
			return m.New(field), c
		}
	}
	m, err := Template(name)
	if err != nil {
		t.Fatal(err)
	}
	return m.New(field), c
}

// exchange is one with a header, recorded as a site does it.
func exchange(c *flow.Captures, fields ...string) *flow.Exchange {
	x := &flow.Exchange{}
	x.Begin(nil, nil)
	for i := 0; i < len(fields); i += 2 {
		x.Req.Header.Add(fields[i], fields[i+1])
	}
	r := sample()
	x.Record.URI = r.URI
	x.Capture(c)
	r.Req, r.Fields, r.Captures = &x.Req, x.Record.Fields, c
	r.URI, r.BodyOut, r.ConnID = x.Record.URI, 1000, 7
	x.Req.Host, x.Req.Scheme, x.Req.Major, x.Req.Minor = []byte("www.example"), "http", 1, 1
	x.Req.Path, x.Req.Query, x.Req.Target = []byte("/a"), []byte("b=c"), []byte("/a?b=c")
	x.Record = r
	return x
}

func TestFormats(t *testing.T) {
	zoned := sample().Start.Format("02/Jan/2006:15:04:05 -0700")
	utc := sample().Start.UTC().Format("2006-01-02T15:04:05.000Z")
	common := "192.0.2.7 - - [" + zoned + `] "GET /a?b=c HTTP/1.1" 200 1000`
	for _, c := range []struct {
		format string
		header []string
		change func(r *flow.Record)
		want   string
	}{
		{"clf", nil, nil, common},
		{"clf", nil, func(r *flow.Record) { r.BodyOut, r.User = 0, []byte("al ice") }, "192.0.2.7 - al\\x20ice [" + zoned + `] "GET /a?b=c HTTP/1.1" 200 -`},
		{"clf", nil, func(r *flow.Record) { r.Bad, r.Status, r.BodyOut = true, 400, 90 }, "192.0.2.7 - - [" + zoned + `] "-" 400 90`},
		{"clf", nil, func(r *flow.Record) { r.Method, r.Status, r.BodyOut = "", 0, 0 }, "192.0.2.7 - - [" + zoned + `] "-" - -`},
		{"combined", nil, nil, common + ` "-" "-"`},
		{"combined", []string{"Referer", "http://x/?q=\"", "User-Agent", "a\\b \x1b é"}, nil, common + ` "http://x/?q=\"" "a\\b \x1b \xc3\xa9"`},
		{
			"json", []string{"User-Agent", "a\"\U0001F600\xff"}, func(r *flow.Record) { r.ReqCaptures = [][]byte{[]byte("x"), nil} },
			`{"time":"` + utc + `","client":"192.0.2.7","client_port":40000,"site":"web","pool":"farm","server":"s1","tls":false,"conn":7,` +
				`"method":"GET","uri":"/a?b=c","version":"HTTP/1.1","host":"www.example","status":200,"bytes_in":99,"bytes_out":1234,"body_bytes":1000,` +
				`"request_ms":3,"queue_ms":7,"connect_ms":2,"answer_ms":40,"total_ms":62,"flags":"----","retries":0,"redispatched":false,` +
				`"conns_process":5,"conns_site":4,"conns_pool":3,"conns_server":2,"server_queue":0,"pool_queue":0,` +
				`"user_agent":"a\"\ud83d\ude00\ufffd","request_captures":["x",""]}`,
		},
		{
			"json", nil, func(r *flow.Record) { r.Stream, r.Pool, r.Server, r.Cause, r.Phase = true, "", "", 'S', 'C' },
			`{"time":"` + utc + `","client":"192.0.2.7","client_port":40000,"site":"web","tls":false,"conn":7,"bytes_in":99,"bytes_out":1234,` +
				`"queue_ms":7,"connect_ms":2,"total_ms":157,"flags":"SC","retries":0,"redispatched":false,` +
				`"conns_process":5,"conns_site":4,"conns_pool":3,"conns_server":2,"server_queue":0,"pool_queue":0}`,
		},
		{
			`{client.ip} [{log.date_clf}] "{log.request}" {http.header.X-A} "{http.header.X-B}" {log.total_ms} {http.host}{http.uri} {http.query.b} {literal} {log.flags}`,
			[]string{"X-A", "one two", "X-B", `q"`}, nil,
			`192.0.2.7 [` + zoned + `] "GET /a?b=c HTTP/1.1" one\x20two "q\"" 62 www.example/a?b=c c {literal} ----`,
		},
		{`{"a":"{http.header.X-A}","b":{log.bytes_out}}`, []string{"X-A", "\"\x01é"}, nil, `{"a":"\"\u0001\u00e9","b":1234}`},
		{`{http.header.X-None} "{http.header.X-None}" {log.user} {tls.sni}`, nil, nil, `- "" - -`},
		{`{http.cookie.sid}`, []string{"Cookie", "a=b; sid=1"}, nil, "1"},
	} {
		f, captures := site(t, c.format)
		r := &exchange(captures, c.header...).Record
		if c.change != nil {
			c.change(r)
		}
		if got := string(f.Append([]byte("kept "), r)); got != "kept "+c.want {
			t.Errorf("%s\ngot  %s\nwant kept %s", c.format, got, c.want)
		}
	}
	for _, text := range []string{"{log.nothing}", "{http.}x{http.heder.a}", "a\n{client.ip}"} {
		if _, err := Template(text); err == nil {
			t.Errorf("%q is a template", text)
		}
	}
}

// TestCredentials: what clients prove themselves with stands in no line by default.
func TestCredentials(t *testing.T) {
	for _, name := range []string{"httplog", "clf", "combined", "json", `{http.uri} {http.query} {http.original_uri} {log.request} {http.header.referer}`} {
		f, captures := site(t, name)
		captures.Hide = logging.Credentials
		c := *captures
		x := &flow.Exchange{}
		x.Begin(nil, nil)
		for _, h := range [][2]string{
			{"Authorization", "Basic SECRET"}, {"Cookie", "sid=SECRET"}, {"Proxy-Authorization", "SECRET"},
			{"Referer", "http://h/?PASSWORD=SECRET&a=1"}, {"User-Agent", "x"},
		} {
			x.Req.Header.Add(h[0], h[1])
		}
		x.Record.Method, x.Record.Version = "GET", "HTTP/1.1"
		x.Record.URI = []byte("/a?x=1&access_token=SECRET&%74oken=SECRET&b")
		x.Req.Target, x.Req.Query = x.Record.URI, x.Record.URI[3:]
		x.Capture(&c)
		line := string(f.Append(nil, &x.Record))
		if strings.Contains(line, "SECRET") || !strings.Contains(line, "x=1&access_token=***&%74oken=***&b") {
			t.Errorf("%s: %s", name, line)
		}
	}
}

// strict is one line of clf or combined, by Apache's grammar.
var strict = regexp.MustCompile(`^[0-9a-f.:]+ - \S+ \[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] ` +
	`"((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?$`)

// FuzzFormats: whatever a client sends, a line stays one of its format.
func FuzzFormats(f *testing.F) {
	f.Add([]byte("/a\r\nb"), []byte("x\"y\\"), "GET")
	f.Add([]byte("/\xff\xf0\x9f\x98\x80"), []byte("\xe2\x80\xa8\x00"), "\x00")
	f.Add(bytes.Repeat([]byte("\""), 5000), bytes.Repeat([]byte{1}, 5000), "POST")
	clf, _ := site(f, "clf")
	combined, cc := site(f, "combined")
	object, jc := site(f, "json")
	own, oc := site(f, `{"a":"{http.header.referer}","u":"{http.original_uri}"}`)
	words, wc := site(f, `{http.header.referer} {http.original_uri} "{http.header.referer}"`)
	f.Fuzz(func(t *testing.T, uri, value []byte, method string) {
		for _, c := range []struct {
			format   logging.Format
			captures *flow.Captures
			check    func(line []byte) error
		}{
			{clf, &flow.Captures{}, isStrict},
			{combined, cc, isStrict},
			{object, jc, isJSON},
			{own, oc, isJSON},
			{words, wc, isWords},
		} {
			r := &exchange(c.captures, "Referer", string(value), "User-Agent", string(value)).Record
			r.URI, r.Method, r.User = uri, method, value
			line := c.format.Append(nil, r)
			if len(line) > 32<<10 {
				t.Fatalf("%d bytes", len(line))
			}
			for _, b := range line {
				if b < ' ' || b > '~' {
					t.Fatalf("byte %#x in %q", b, line)
				}
			}
			if err := c.check(line); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
		}
		// What is not cut can be read back.
		if len(uri) < 500 && utf8.Valid(uri) && method != "" {
			r := &exchange(jc).Record
			r.URI, r.Method = uri, method
			var got struct{ URI string }
			if err := json.Unmarshal(object.Append(nil, r), &got); err != nil || got.URI != string(uri) {
				t.Fatalf("%q became %q, %v", uri, got.URI, err)
			}
		}
	})
}

func isStrict(line []byte) error {
	if !strict.Match(line) {
		return fmt.Errorf("no line of Apache's")
	}
	return nil
}

func isJSON(line []byte) error {
	var v map[string]any
	return json.Unmarshal(line, &v)
}

var wordLine = regexp.MustCompile(`^\S+ \S+ "(?:[^"\\]|\\.)*"$`)

func isWords(line []byte) error {
	if !wordLine.Match(line) {
		return fmt.Errorf("not two words and a quoted text")
	}
	return nil
}

// TestLongLine: 100 KB of what must be escaped make a bounded line, whole in its format.
func TestLongLine(t *testing.T) {
	for name, check := range map[string]func([]byte) error{"clf": isStrict, "combined": isStrict, "json": isJSON} {
		f, c := site(t, name)
		big := strings.Repeat("\"\x01", 50_000)
		r := &exchange(c, "Referer", big, "User-Agent", big).Record
		r.URI, r.User = []byte(big), []byte(big)
		if line := f.Append(nil, r); len(line) > 16<<10 || check(line) != nil {
			t.Errorf("%s: %d bytes, %v", name, len(line), check(line))
		}
	}
}

// everyFormat is the formats, and a template that uses every placeholder.
func everyFormat() []string {
	all := ""
	for i := range holes {
		all += strings.ReplaceAll("{"+holes[i].Name+"} ", "*", "b")
	}
	return []string{"httplog", "tcplog", "clf", "combined", "json", all}
}

func TestNoFormatAllocates(t *testing.T) {
	for _, name := range everyFormat() {
		f, captures := site(t, name)
		r := &exchange(captures, "Referer", "http://x/", "User-Agent", "curl/8\"").Record
		r.Conn = &flow.Conn{TLS: &flow.TLS{Version: 0x304, Cipher: 0x1301, Client: &flow.ClientCert{Subject: "CN=a"}}}
		buf := make([]byte, 0, 16<<10)
		if n := testing.AllocsPerRun(500, func() { buf = f.Append(buf[:0], r) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestCaptureDoesNotAllocate(t *testing.T) {
	c := &flow.Captures{
		Request: []flow.Capture{{Name: "Host", Max: 5}}, Fields: []flow.Capture{userAgent, {Place: flow.RequestCookie, Name: "b", Max: 9}},
		Cookie: flow.Capture{Name: "a", Max: 4}, Hide: logging.Credentials,
	}
	x := &flow.Exchange{}
	uri := []byte("/?token=1")
	capture := func() {
		x.Begin(nil, nil)
		x.Req.Header.Add("Host", "www.example")
		x.Req.Header.Add("Cookie", "a=first; b=2")
		x.Record.URI = uri
		x.Capture(c)
	}
	if n := testing.AllocsPerRun(500, capture); n != 0 {
		t.Errorf("%v allocations", n)
	}
	in, _ := x.Record.Cookies()
	if r := &x.Record; string(r.ReqCaptures[0]) != "www.e" || string(in) != "a=fi" || string(r.Fields[1]) != "2" || r.Fields[0] != nil || string(r.URI) != "/?token=***" {
		t.Errorf("%q %q %q %q", r.ReqCaptures, in, r.Fields, r.URI)
	}
}

func BenchmarkFormats(b *testing.B) {
	for _, name := range []string{"clf", "combined", "json", `{client.ip} {log.time} "{log.request}" {http.response.status} {log.total_ms} "{http.header.user-agent}"`} {
		b.Run(strings.Fields(name)[0], func(b *testing.B) {
			f, captures := site(b, name)
			r := &exchange(captures, "Referer", "https://www.example/from/here", "User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101").Record
			r.Start = time.Now()
			buf := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				buf = f.Append(buf[:0], r)
			}
		})
	}
}
