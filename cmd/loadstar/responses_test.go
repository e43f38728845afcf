package main_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// scripted starts a proxy before an origin that answers each case's target with
// its bytes and then ends the connection, or keeps it open.
func scripted(t *testing.T, answers map[string]string, keep bool) (port int, o *e2e.Origin) {
	t.Helper()
	o = e2e.NewOrigin(t, func(c net.Conn, m *e2e.Message) bool {
		raw, ok := answers[m.Target]
		if !ok {
			raw = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		}
		_, err := io.WriteString(c, raw)
		return err == nil && (keep || !ok)
	})
	port = e2e.Ports(t, 1)[0]
	e2e.Run(t, plain(port, o.Port), port)
	return port, o
}

// TestBadAnswers: RFC 9112 §6.3, as a gateway must see it. Nothing of a broken
// answer may reach the client, and nothing of it may pass for the next answer.
func TestBadAnswers(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	answers := map[string]string{
		"/junk":               "220 mail.example ESMTP\r\n\r\n",
		"/empty":              "",
		"/half-head":          ok + "Content-Le",
		"/status-2000":        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"/status-20":          "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"/status-099":         "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
		"/status-letters":     "HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n",
		"/version":            "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"/length-and-chunked": ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"/two-lengths":        ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"/length-list":        ok + "Content-Length: 5, 6\r\n\r\nhello!",
		"/length-sign":        ok + "Content-Length: +5\r\n\r\nhello",
		"/length-negative":    ok + "Content-Length: -5\r\n\r\nhello",
		"/coding":             ok + "Transfer-Encoding: gzip, chunked, identity\r\n\r\nhello",
		"/coding-vt":          ok + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"/chunked-1.0":        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"/nul":                ok + "A: b\x00c\r\nContent-Length: 0\r\n\r\n",
		"/bare-cr":            ok + "A: b\rc\r\nContent-Length: 0\r\n\r\n",
		"/folded":             ok + "A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
		"/blank-before-colon": ok + "Content-Length : 0\r\n\r\n",
		"/no-colon":           ok + "nothing\r\nContent-Length: 0\r\n\r\n",
		"/empty-name":         ok + ": x\r\nContent-Length: 0\r\n\r\n",
		"/unasked-101":        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nsecret",
		"/huge-head":          ok + strings.Repeat("X-Fill: "+strings.Repeat("y", 1000)+"\r\n", 1000) + "Content-Length: 0\r\n\r\n",
		"/many-fields":        ok + strings.Repeat("a: b\r\n", 10000) + "Content-Length: 0\r\n\r\n",
		"/endless-interim":    strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000) + ok + "Content-Length: 0\r\n\r\n",
	}
	port, o := scripted(t, answers, false)
	for target := range answers {
		t.Run(target[1:], func(t *testing.T) {
			c := e2e.Dial(t, port)
			// A POST, so that the request is not repeated in silence.
			c.Send("POST " + target + " HTTP/1.1\r\nHost: www.example\r\nContent-Length: 0\r\n\r\n")
			a := c.Answer("POST")
			for a.Status == 103 { // some of the endless ones may be passed on
				a = c.Answer("POST")
			}
			if a.Status != 502 || !a.Complete {
				t.Errorf("status %d (%v), want a whole 502", a.Status, a.Err)
			}
			if strings.Contains(a.Body, "secret") || a.Header.Get("A") != "" {
				t.Errorf("the broken answer shows: %v %q", a.Header, a.Body)
			}
			c.Close()
			if messages, _ := o.Settled(t, port); len(messages) != 1 {
				t.Errorf("the POST was sent %d times", len(messages))
			}
		})
	}
}

// TestCutAnswers: an answer whose body breaks off must not look complete.
func TestCutAnswers(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	answers := map[string]string{
		"/short-body":      ok + "Content-Length: 50\r\n\r\nhello",
		"/no-last-chunk":   ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"/half-chunk":      ok + "Transfer-Encoding: chunked\r\n\r\n50\r\nhello",
		"/bad-chunk-size":  ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n",
		"/chunk-bare-lf":   ok + "Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
		"/chunk-too-long":  ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
		"/no-end-of-chunk": ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
	}
	port, _ := scripted(t, answers, false)
	for target := range answers {
		t.Run(target[1:], func(t *testing.T) {
			c := e2e.Dial(t, port)
			c.Send("GET " + target + " HTTP/1.1\r\nHost: www.example\r\n\r\n")
			a := c.Answer("GET")
			if a.Status == 200 && a.Complete {
				t.Errorf("a cut answer came as complete: %q", a.Body)
			}
			if a.Status != 200 && a.Status != 502 && a.Status != 0 {
				t.Errorf("status %d", a.Status)
			}
			if a.Status != 502 && !c.Closed() {
				t.Error("the connection stays after a cut answer")
			}
		})
	}
}

// TestAnswersStayApart: what stands behind an answer on the server's connection
// is never given to another request.
func TestAnswersStayApart(t *testing.T) {
	extra := "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	answers := map[string]string{
		"/two-answers":    ok + extra,
		"/bytes-behind":   ok + "POISONPOISON",
		"/204-with-body":  "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nPOISON",
		"/204-and-answer": "HTTP/1.1 204 No Content\r\n\r\n" + extra,
		"/304-with-body":  "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nPOISON",
		"/304-and-answer": "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n" + extra,
		"/late":           ok, // more is sent after a while, see below
	}
	answered, late := make(chan struct{}, 1), make(chan struct{}, 1)
	o := e2e.NewOrigin(t, func(c net.Conn, m *e2e.Message) bool {
		raw, known := answers[m.Target]
		if !known { // to HEAD as well: a body there is the fault that is meant
			raw = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
		}
		_, err := io.WriteString(c, raw)
		if m.Target == "/late" {
			<-answered // the connection is idle now, as far as the proxy can see
			_, err = io.WriteString(c, extra)
			late <- struct{}{}
		}
		return err == nil
	})
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, plain(port, o.Port), port)
	for target := range answers {
		t.Run(target[1:], func(t *testing.T) {
			poisonable(t, port, "GET "+target, func() {
				if target == "/late" {
					answered <- struct{}{}
					<-late
				}
			})
		})
	}
	t.Run("HEAD with a body", func(t *testing.T) { poisonable(t, port, "HEAD /head", func() {}) })
}

// poisonable sends a request whose answer has more behind it, then others over
// the same and over new connections: all must get their own answers.
// before them, then runs.
func poisonable(t *testing.T, port int, line string, then func()) {
	method, _, _ := strings.Cut(line, " ")
	first := e2e.Dial(t, port)
	first.Send(line + " HTTP/1.1\r\nHost: www.example\r\n\r\n")
	a := first.Answer(method)
	if a.Status == 0 {
		t.Fatalf("no answer: %v", a.Err)
	}
	if strings.Contains(a.Body, "POISON") {
		t.Errorf("the body holds what stands behind it: %q", a.Body)
	}
	then()
	for i := range 8 {
		c := first
		if i%2 == 1 || a.Close {
			c = e2e.Dial(t, port)
		}
		c.Send("GET /next HTTP/1.1\r\nHost: www.example\r\n\r\n")
		b := c.Answer("GET")
		if b.Status != 200 || b.Body != "next" {
			t.Errorf("request %d was answered %d %q (%v)", i, b.Status, b.Body, b.Err)
		}
		if c == first && b.Close {
			a.Close = true
		}
	}
}
