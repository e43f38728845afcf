package flowtest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

func testTooLong(t *testing.T, start Start) {
	errs := make(chan error, 1)
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.Resp.Status, x.Resp.ContentLength = 200, 5
		_ = x.Start()
		_, _ = x.Write([]byte("123"))
		_, err := x.Write([]byte("456"))
		errs <- err
		_, _ = x.Write([]byte("45"))
		_ = x.Finish()
	}))
	fetch(t, c, request(t, "GET", url, nil)).want(t, 200, "12345")
	if err := <-errs; !errors.Is(err, flow.ErrTooLong) {
		t.Errorf("writing too much: %v", err)
	}
}

// broken fetches what must not look complete.
func broken(t *testing.T, c *http.Client, url string) {
	t.Helper()
	c.Timeout = patience
	resp, err := c.Get(url)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%s: a whole answer: %d %q", url, resp.StatusCode, body)
	} else if errors.Is(err, http.ErrHandlerTimeout) || strings.Contains(err.Error(), "Client.Timeout") {
		t.Errorf("%s: %v", url, err)
	}
}

func testShort(t *testing.T, start Start) {
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.Resp.Status, x.Resp.ContentLength = 200, 5
		_ = x.Start()
		_, _ = x.Write([]byte("1234"))
		if x.Finish() == nil {
			panic("a short body is finished")
		}
	}))
	broken(t, c, url)
}

func testAbort(t *testing.T, start Start) {
	c, url := start(t, Func(aborts))
	for _, path := range []string{"/length", "/unknown", "/held", "/before", "/silent"} {
		broken(t, c, url+path)
	}
}

func testAbortThrough(t *testing.T, start Start) {
	c, url := start(t, Func(aborts))
	for _, path := range []string{"/length", "/unknown", "/held"} {
		broken(t, c, url+path)
	}
	for _, path := range []string{"/before", "/silent"} {
		if a := fetch(t, c, request(t, "GET", url+path, nil)); a.StatusCode != 502 {
			t.Errorf("%s: status %d, want 502", path, a.StatusCode)
		}
	}
}

// aborts cuts its answer, at the moment that the path names.
func aborts(x *flow.Exchange) {
	x.Resp.Status = 200
	switch string(x.Req.Path) {
	case "/length":
		x.Resp.ContentLength = 10
		fallthrough
	case "/unknown":
		_ = x.Start()
		_, _ = x.Write([]byte("12345"))
		_ = x.Flush()
	case "/held":
		_ = x.Start()
		_, _ = x.Write([]byte("12345"))
	case "/silent": // a handler that does nothing
		return
	}
	x.Abort(flow.ErrAborted)
	if _, err := x.Write([]byte("x")); err == nil {
		panic("written behind an abort")
	}
}

// What is flushed arrives, though the answer goes on.
func testFlush(t *testing.T, start Start) {
	more := make(chan bool)
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.Resp.Status = 200
		_ = x.Start()
		_ = x.Flush()
		<-more
		for i := range 3 {
			_, _ = x.Write([]byte{'0' + byte(i)})
			_ = x.Flush()
			<-more
		}
		_ = x.Finish()
	}))
	c.Timeout = patience
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b [1]byte
	for i := range 3 {
		more <- true
		if _, err := io.ReadFull(resp.Body, b[:]); err != nil || b[0] != '0'+byte(i) {
			t.Fatalf("%q %v", b, err)
		}
	}
	more <- true
	if _, err := resp.Body.Read(b[:]); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

// Each word goes up and comes down before the next goes up.
func testFullDuplex(t *testing.T, start Start) {
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.Resp.Status = 200
		_ = x.Start()
		_ = x.Flush()
		for {
			p, err := x.Req.Body.Next()
			if len(p) > 0 {
				_, _ = x.Write(p)
				_ = x.Flush()
			}
			if err == io.EOF {
				_ = x.Finish()
				return
			}
			if err != nil {
				x.Abort(err)
				return
			}
		}
	}))
	c.Timeout = patience
	up, w := io.Pipe()
	resp, err := c.Do(request(t, "POST", url, up))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range 20 {
		word := fmt.Sprintf("word %d,", i)
		if _, err := io.WriteString(w, word); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(word))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != word {
			t.Fatalf("%q %v, want %q", got, err, word)
		}
	}
	_ = w.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("rest %q, %v", rest, err)
	}
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// An answer that does not wait for the body arrives while the body is sent.
func testEarlyAnswer(t *testing.T, start Start) {
	c, url := start(t, Func(func(x *flow.Exchange) { _ = x.Respond(413, "", []byte("no")) }))
	for _, body := range []io.Reader{endless{}, strings.NewReader("short"), strings.NewReader(strings.Repeat("x", 200_000))} {
		fetch(t, c, request(t, "POST", url, body)).want(t, 413, "no")
	}
}

func testRelay(t *testing.T, start Start) {
	text := strings.Repeat("0123456789", 100_000)
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.Resp.Status = 200
		src, n := io.Reader(strings.NewReader(text)), int64(len(text)-10)
		switch string(x.Req.Path) {
		case "/length":
			x.Resp.ContentLength = n
		case "/all":
			n = -1
		}
		_ = x.Start()
		m, err := x.Relay(src, n)
		if err != nil || n >= 0 && m != n {
			panic(fmt.Sprint(m, err))
		}
		_ = x.Finish()
	}))
	fetch(t, c, request(t, "GET", url+"/length", nil)).want(t, 200, text[:len(text)-10])
	fetch(t, c, request(t, "GET", url+"/unknown", nil)).want(t, 200, text[:len(text)-10])
	fetch(t, c, request(t, "GET", url+"/all", nil)).want(t, 200, text)
}

// ended tells what became of an exchange.
type ended struct {
	mu      sync.Mutex
	records []flow.Record
	uris    []string
	seen    chan bool
}

func (e *ended) EndExchange(x *flow.Exchange) {
	e.mu.Lock()
	e.records = append(e.records, x.Record)
	e.uris = append(e.uris, string(x.Record.URI))
	e.mu.Unlock()
	e.seen <- true
}

// hook is a flow.ResponseHook.
type hook func()

func (h hook) OnResponse(*flow.Exchange) { h() }

// A panic before the answer is a 500, also one of what edits answers; inside it is
// a cut. They are logged, and others go on.
func testPanic(t *testing.T, start Start) {
	end := &ended{seen: make(chan bool, 10)}
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.OnEnd(end)
		switch string(x.Req.Path) {
		case "/inside":
			x.Resp.Status = 200
			_ = x.Start()
			_, _ = x.Write([]byte("12345"))
			_ = x.Flush()
			panic("on purpose")
		case "/before":
			panic("on purpose")
		case "/hook":
			x.AddHook(hook(func() { panic("on purpose") }))
		}
		_ = x.Respond(200, "", []byte("ok"))
	}))
	for _, path := range []string{"/before", "/hook"} {
		if a := fetch(t, c, request(t, "GET", url+path, nil)); a.StatusCode != 500 {
			t.Errorf("%s: status %d, want 500", path, a.StatusCode)
		}
	}
	broken(t, c, url+"/inside")
	fetch(t, c, request(t, "GET", url, nil)).want(t, 200, "ok")
	for range 4 {
		<-end.seen
	}
	// Exchanges side by side may end in another order than they were answered.
	want := map[string]string{"/before": "PR", "/hook": "PR", "/inside": "PD", "/": "\x00\x00"}
	for i, r := range end.records {
		if uri := end.uris[i]; string([]byte{r.Cause, r.Phase}) != want[uri] {
			t.Errorf("%s: %c%c, want %s", uri, r.Cause, r.Phase, want[uri])
		}
	}
}

func testRecord(t *testing.T, start Start) {
	end := &ended{seen: make(chan bool, 1)}
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.OnEnd(end)
		echo(x)
	}))
	fetch(t, c, request(t, "POST", url+"/path?q", strings.NewReader(strings.Repeat("x", 1000)))).want(t, 200, strings.Repeat("x", 1000))
	<-end.seen
	r := end.records[0]
	if end.uris[0] != "/path?q" || r.Method != "POST" || r.Status != 200 || r.BytesIn < 1000 || r.BytesOut < 1000 ||
		r.Start.IsZero() || r.Timings.Head < r.Timings.FirstByte || r.Timings.FirstByte == 0 {
		t.Errorf("%q %+v", end.uris[0], r)
	}
}

// Exchanges side by side never see each other's bytes.
func testMany(t *testing.T, start Start) {
	c, url := start(t, Func(func(x *flow.Exchange) {
		x.Resp.Header.AddBytes([]byte("X-Target"), x.Req.Target)
		echo(x)
	}))
	c.Timeout = patience
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 40 {
				target := fmt.Sprintf("/%d/%d", i, j)
				want := strings.Repeat(target+",", j*j)
				var body io.Reader = strings.NewReader(want)
				if j%2 == 0 {
					body = io.MultiReader(body)
				}
				req, err := http.NewRequest("POST", url+target, body)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := c.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || string(got) != want || resp.Header.Get("X-Target") != target {
					t.Errorf("%s: %s, %d bytes of %d, %v", target, resp.Header.Get("X-Target"), len(got), len(want), err)
					return
				}
			}
		})
	}
	wg.Wait()
}
