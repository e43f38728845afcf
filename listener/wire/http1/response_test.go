package http1

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func parseAnswer(raw []byte, r *flow.Response, hd *Head) (rest []byte, err error) {
	end, _, err := HeadEnd(raw, 0)
	if err != nil {
		return nil, err
	}
	if end == 0 {
		return nil, ErrMore
	}
	return raw[end:], ParseResponse(raw[:end:end], 200, r, hd)
}

func TestResponseRefused(t *testing.T) {
	for _, raw := range []string{
		head("HTTP/1.1 2000 OK"), head("HTTP/1.1 20 OK"), head("HTTP/1.1 099 No"), head("HTTP/1.1 600 No"), head("HTTP/1.1 +20 No"),
		head("HTTP/1.1  200 OK"), head("HTTP/1.1\t200 OK"), head("HTTP/1.1 200\tOK"), head("HTTP/2.0 200 OK"), head("HTTP/1.2 200 OK"),
		head("http/1.1 200 OK"), head("ICY 200 OK"), head("HTTP/1.1 200 O\x00K"), head("HTTP/1.1 200 O\rK"), head(""), head("HTTP/1.1 "),
		"HTTP/1.1 200 OK\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\n\r\n",
		head("HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked"),
		head("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 5"),
		head("HTTP/1.1 200 OK", "Content-Length: 5,5"), head("HTTP/1.1 200 OK", "Content-Length: -5"),
		head("HTTP/1.1 200 OK", "Transfer-Encoding: gzip"), head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked, gzip"),
		head("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"),
		head("HTTP/1.1 200 OK", "A : b"), head("HTTP/1.1 200 OK", "A: b", " c"), head("HTTP/1.1 200 OK", "A: b\x00"),
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 201) + "\r\n",
	} {
		var r flow.Response
		var hd Head
		if _, err := parseAnswer([]byte(raw), &r, &hd); statusOf(err) < 400 {
			t.Errorf("%.60q: %v", raw, err)
		}
	}
}

func TestResponse(t *testing.T) {
	for _, tt := range []struct {
		raw, method string
		status      int
		reason      string
		framing     Framing
		keeps       bool
	}{
		{head("HTTP/1.1 200 OK", "Content-Length: 5"), "GET", 200, "OK", FrameLength, true},
		{head("HTTP/1.1 200", "Content-Length: 0"), "GET", 200, "", FrameNone, true},
		{head("HTTP/1.1 200 ", "Transfer-Encoding: chunked"), "GET", 200, "", FrameChunked, true},
		{head("HTTP/1.1 404 Not here, not there"), "GET", 404, "Not here, not there", FrameClose, true},
		{head("HTTP/1.1 200 OK", "Content-Length: 5"), "HEAD", 200, "OK", FrameNone, true},
		{head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), "HEAD", 200, "OK", FrameNone, true},
		{head("HTTP/1.1 204 No Content", "Content-Length: 5"), "GET", 204, "No Content", FrameNone, true},
		{head("HTTP/1.1 304 Not Modified", "Content-Length: 5"), "GET", 304, "Not Modified", FrameNone, true},
		{head("HTTP/1.1 200 OK", "Connection: close", "Content-Length: 5"), "GET", 200, "OK", FrameLength, false},
		{head("HTTP/1.0 200 OK", "Content-Length: 5"), "GET", 200, "OK", FrameLength, false},
		{head("HTTP/1.0 200 OK", "Content-Length: 5", "Connection: keep-alive"), "GET", 200, "OK", FrameLength, true},
	} {
		var r flow.Response
		var hd Head
		rest, err := parseAnswer([]byte(tt.raw+"rest"), &r, &hd)
		if err != nil || string(rest) != "rest" || r.Status != tt.status || string(r.Reason) != tt.reason ||
			hd.Framing(tt.method, r.Status) != tt.framing || hd.KeepsAlive() != tt.keeps {
			t.Errorf("%q: %v %d %q %v %v", tt.raw, err, r.Status, r.Reason, hd.Framing(tt.method, r.Status), hd.KeepsAlive())
		}
	}
}

func TestAppendResponse(t *testing.T) {
	var r flow.Response
	r.Status = 200
	r.Header.Add("A", "b")
	r.Header.Add("Content-Length", "5")
	r.Header.Add("Transfer-Encoding", "gzip")
	r.Header.Add("Connection", "x")
	r.Header.Add("Upgrade", "y")
	for _, tt := range []struct {
		f    AnswerFraming
		want string
	}{
		{AnswerFraming{Length: 5}, head("HTTP/1.1 200 OK", "A: b", "Content-Length: 5")},
		{AnswerFraming{Length: 6}, head("HTTP/1.1 200 OK", "A: b", "Content-Length: 6")},
		{AnswerFraming{Length: -1, Close: true}, head("HTTP/1.1 200 OK", "A: b", "Connection: close")},
		{AnswerFraming{Length: -1, Chunked: true, Keep: true}, head("HTTP/1.1 200 OK", "A: b", "Transfer-Encoding: chunked", "Connection: keep-alive")},
		{AnswerFraming{Length: -1, Upgrade: []byte("ws")}, head("HTTP/1.1 200 OK", "A: b", "Connection: Upgrade", "Upgrade: ws")},
	} {
		if got := string(AppendResponse(nil, &r, tt.f)); got != tt.want {
			t.Errorf("%+v:\n got %q\nwant %q", tt.f, got, tt.want)
		}
	}
	if got, want := string(AppendInterim(nil, 103, &r.Header)), head("HTTP/1.1 103 Early Hints", "A: b"); got != want {
		t.Errorf("interim %q", got)
	}
	if got, want := string(AppendInterim(nil, 199, nil)), head("HTTP/1.1 199 "); got != want {
		t.Errorf("interim %q", got)
	}
	r.Status, r.Reason = 599, []byte("Own")
	if got := string(AppendResponse(nil, &r, AnswerFraming{Length: 0})); !strings.HasPrefix(got, "HTTP/1.1 599 Own\r\n") {
		t.Errorf("%q", got)
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte(head("HTTP/1.1 200 OK", "Content-Length: 5")+"hello"), false)
	f.Add([]byte(head("HTTP/1.1 304 Not Modified", "Content-Length: 5", "Connection: a, close", "A: b")), true)
	f.Add([]byte(head("HTTP/1.1 200", "Transfer-Encoding: chunked", "Upgrade: a")+"0\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, raw []byte, isHead bool) {
		var r flow.Response
		var hd Head
		if _, err := parseAnswer(raw, &r, &hd); err != nil {
			return
		}
		method := "GET"
		if isHead {
			method = "HEAD"
		}
		fr := AnswerFraming{Length: -1, Close: !hd.KeepsAlive()}
		switch hd.Framing(method, r.Status) {
		case FrameLength:
			fr.Length = hd.ContentLength
		case FrameChunked:
			fr.Chunked = true
		case FrameNone:
			fr.Length = 0
		case FrameClose:
			fr.Close = true
		}
		if r.Status < 200 || r.Status == 204 {
			fr.Length = -1
		}
		out := AppendResponse(nil, &r, fr)
		got, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http: %v in %q", err, out)
		}
		if got.StatusCode != r.Status || fr.Length >= 0 && got.ContentLength != fr.Length || fr.Chunked != (len(got.TransferEncoding) == 1) {
			t.Fatalf("net/http read %d, length %d, %v of %q", got.StatusCode, got.ContentLength, got.TransferEncoding, out)
		}
	})
}

func TestResponseAllocations(t *testing.T) {
	raw := []byte(head("HTTP/1.1 200 OK", "Content-Type: text/html", "Content-Length: 5", "Server: x", "Date: now", "Connection: keep-alive"))
	var r flow.Response
	var hd Head
	out := make([]byte, 0, 1024)
	run := func() {
		if err := ParseResponse(raw, 200, &r, &hd); err != nil {
			t.Fatal(err)
		}
		out = AppendResponse(out[:0], &r, AnswerFraming{Length: hd.ContentLength})
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations to read and write an answer", n)
	}
}

func BenchmarkResponse(b *testing.B) {
	raw := []byte(head("HTTP/1.1 200 OK", "Content-Type: text/html", "Content-Length: 5", "Server: x", "Date: now"))
	var r flow.Response
	var hd Head
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseResponse(raw, 200, &r, &hd); err != nil {
			b.Fatal(err)
		}
		out = AppendResponse(out[:0], &r, AnswerFraming{Length: hd.ContentLength})
	}
}
