package e2e

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// Message is a request as an independent parser (net/http) sees it.
type Message struct {
	Method, Target, Host string
	Header               http.Header
	Trailer              http.Header
	Body                 string
	Complete             bool   // the body ended as its framing says
	Raw                  string // its bytes, as far as they came
	Conn                 int    // which connection, from 1
}

// Origin is a server that records what it is sent.
type Origin struct {
	Port int

	mu       sync.Mutex
	messages []Message
	broken   []string // bytes that are no request
	conns    int
	answer   func(c net.Conn, m *Message) (keep bool)
}

// NewOrigin starts an origin. answer writes the answer to a message, and tells
// whether the connection goes on; nil answers 200 with "ok". A message whose
// body was cut is recorded, not answered.
func NewOrigin(t testing.TB, answer func(c net.Conn, m *Message) bool) *Origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if answer == nil {
		answer = func(c net.Conn, m *Message) bool {
			body := "ok"
			head := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
			if m.Method == http.MethodHead {
				body = ""
			}
			_, err := io.WriteString(c, head+body)
			return err == nil
		}
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("not a TCP address")
	}
	o := &Origin{Port: addr.Port, answer: answer}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go o.serve(c)
		}
	}()
	return o
}

func (o *Origin) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	o.mu.Lock()
	o.conns++
	id := o.conns
	o.mu.Unlock()
	var raw bytes.Buffer
	br := bufio.NewReader(io.TeeReader(c, &raw))
	for {
		raw.Next(raw.Len() - br.Buffered()) // what was read ahead belongs to the next message
		if _, err := br.Peek(1); err != nil {
			return
		}
		r, err := http.ReadRequest(br)
		if err != nil {
			_, _ = io.CopyN(io.Discard, br, int64(br.Buffered()))
			o.mu.Lock()
			o.broken = append(o.broken, err.Error()+": "+raw.String())
			o.mu.Unlock()
			return
		}
		m := Message{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header, Conn: id}
		if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		body, err := io.ReadAll(r.Body)
		m.Body, m.Trailer, m.Complete = string(body), r.Trailer, err == nil
		m.Raw = string(raw.Bytes()[:raw.Len()-br.Buffered()])
		o.mu.Lock()
		o.messages = append(o.messages, m)
		o.mu.Unlock()
		if err != nil || !o.answer(c, &m) {
			return
		}
	}
}

// Take gives what has come since the last Take.
func (o *Origin) Take() (messages []Message, broken []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	messages, broken = o.messages, o.broken
	o.messages, o.broken = nil, nil
	return messages, broken
}

// Settled waits until what the proxy has forwarded has come: a request on a
// connection of its own is let through behind it. It is not part of the result.
// A smuggled request that sits on a server connection has been read by then, for
// the origin reads as fast as it can.
func (o *Origin) Settled(t testing.TB, proxyPort int) (messages []Message, broken []string) {
	t.Helper()
	const target = "/settled"
	c := Dial(t, proxyPort)
	c.Send("GET " + target + " HTTP/1.1\r\nHost: settled.example\r\nConnection: close\r\n\r\n")
	if a := c.Answer("GET"); a.Status == 0 {
		t.Fatalf("the proxy no longer answers: %v", a.Err)
	}
	c.Close()
	seen := rig.Until(5*time.Second, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, m := range o.messages {
			if m.Target == target {
				return true
			}
		}
		return false
	})
	if !seen {
		t.Fatal("a request did not reach the origin")
	}
	all, broken := o.Take()
	for _, m := range all {
		if m.Target != target {
			messages = append(messages, m)
		}
	}
	return messages, broken
}
