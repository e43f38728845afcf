package flowtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func testRespond(t *testing.T, start Start) {
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.Resp.Header.Add("X-Path", string(x.Req.Path))
		x.Resp.Header.Add("X-Method", x.Req.Method)
		x.Resp.Header.Add("X-Query", string(x.Req.Query))
		_ = x.Respond(203, "text/x", []byte("own"))
	}))
	for range 3 {
		a := fetch(t, c, request(t, "PUT", url+"/a/b?c=d", nil))
		a.want(t, 203, "own")
		h := a.Header
		if h.Get("X-Path") != "/a/b" || h.Get("X-Method") != "PUT" || h.Get("X-Query") != "c=d" || h.Get("Content-Type") != "text/x" || a.ContentLength != 3 {
			t.Errorf("header %v, length %d", h, a.ContentLength)
		}
	}
}

// HEAD, 204 and 304 have no body, though a length may be announced; and the
// connection goes on behind them.
func testNoBody(t *testing.T, start Start) {
	c, url := start(t, Func(func(x *flow.Exchange) {
		switch string(x.Req.Path) {
		case "/204":
			x.Resp.Status = 204
		case "/304":
			x.Resp.Status, x.Resp.ContentLength = 304, 5
		default:
			x.Resp.Status, x.Resp.ContentLength = 200, 5
		}
		_ = x.Start()
		if n, err := x.Write([]byte("12345")); n != 5 || err != nil {
			panic(fmt.Sprint(n, err))
		}
		_ = x.Finish()
	}))
	for range 2 {
		a := fetch(t, c, request(t, "HEAD", url+"/200", nil))
		if a.want(t, 200, ""); a.ContentLength != 5 {
			t.Errorf("length %d", a.ContentLength)
		}
		fetch(t, c, request(t, "GET", url+"/204", nil)).want(t, 204, "")
		fetch(t, c, request(t, "GET", url+"/304", nil)).want(t, 304, "")
		fetch(t, c, request(t, "GET", url+"/200", nil)).want(t, 200, "12345")
	}
}

// echo answers with the request's body and trailer.
func echo(x *flow.Exchange) {
	x.Resp.Status, x.Resp.ContentLength = 200, x.Req.ContentLength
	_ = x.Start()
	for {
		p, err := x.Req.Body.Next()
		if _, err := x.Write(p); err != nil {
			x.Abort(err)
			return
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			x.Abort(err)
			return
		}
	}
	if tr := x.Req.Body.Trailer(); tr != nil {
		x.Resp.Trailer.CopyFrom(tr)
	}
	_ = x.Finish()
}

func testEcho(t *testing.T, start Start) {
	c, url := start(t, Func(echo))
	for _, n := range []int{0, 1, 100, 10_000, 20_000, 100_000, 3_000_000} {
		want := strings.Repeat("0123456789", n/10+1)[:n]
		fetch(t, c, request(t, "POST", url, strings.NewReader(want))).want(t, 200, want)
		// io.MultiReader hides the length.
		fetch(t, c, request(t, "POST", url, io.MultiReader(strings.NewReader(want)))).want(t, 200, want)
	}
}

func testRequestTrailer(t *testing.T, start Start) {
	c, url := start(t, Func(echo))
	req := request(t, "POST", url, io.MultiReader(strings.NewReader("body")))
	req.Trailer = http.Header{"X-Sum": {"42"}}
	a := fetch(t, c, req)
	if a.want(t, 200, "body"); a.Trailer.Get("X-Sum") != "42" {
		t.Errorf("trailer %v", a.Trailer)
	}
}

func testUnknownLength(t *testing.T, start Start) {
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.Resp.Status = 200
		_ = x.Start()
		for i := range 2000 {
			_, _ = x.Write(bytes.Repeat([]byte{'a' + byte(i%26)}, i))
		}
		x.Resp.Trailer.Add("X-Sum", "7")
		_ = x.Finish()
	}))
	var want bytes.Buffer
	for i := range 2000 {
		want.Write(bytes.Repeat([]byte{'a' + byte(i%26)}, i))
	}
	for range 2 {
		a := fetch(t, c, request(t, "GET", url, nil))
		if a.want(t, 200, want.String()); a.ContentLength != -1 || a.Trailer.Get("X-Sum") != "7" {
			t.Errorf("length %d, trailer %v", a.ContentLength, a.Trailer)
		}
	}
}

func testInterim(t *testing.T, start Start) {
	c, url := start(t, Func(func(x *flow.Exchange) {
		var h flow.Header
		h.Add("Link", "</a>; rel=preload")
		_ = x.Inform(103, &h)
		_ = x.Inform(102, nil)
		_ = x.Respond(200, "", []byte("end"))
	}))
	var got []string
	req := request(t, "GET", url, nil)
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, fmt.Sprint(code, h.Get("Link")))
			return nil
		},
	}))
	fetch(t, c, req).want(t, 200, "end")
	if want := "[103</a>; rel=preload 102]"; fmt.Sprint(got) != want {
		t.Errorf("interim answers %v, want %s", got, want)
	}
}

// Whoever wants the body of a request that expects a 100 sends it; who does not
// answers, and the body never comes.
func testContinue(t *testing.T, start Start) {
	c, url := start(t, Func(func(x *flow.Exchange) {
		if !x.Req.Expect {
			panic("no expectation")
		}
		if string(x.Req.Path) == "/refuse" {
			_ = x.Respond(417, "", nil)
			return
		}
		_ = x.Inform(100, nil)
		echo(x)
	}))
	if tr, ok := c.Transport.(*http.Transport); ok {
		tr.ExpectContinueTimeout = patience
	}
	for range 2 {
		req := request(t, "POST", url+"/take", strings.NewReader("body"))
		req.Header.Set("Expect", "100-continue")
		fetch(t, c, req).want(t, 200, "body")
		req = request(t, "POST", url+"/refuse", strings.NewReader("body"))
		req.Header.Set("Expect", "100-continue")
		fetch(t, c, req).want(t, 417, "")
	}
}
