package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// h2cServer is Go's own server of HTTP/2 in clear; it gives its port and how many
// connections it has taken.
func h2cServer(t *testing.T, h http.Handler) (int, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns atomic.Int64
	s := &http.Server{Handler: h, Protocols: new(http.Protocols), ConnState: func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}}
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return l.Addr().(*net.TCPAddr).Port, &conns
}

// A reload keeps the connections to servers: those that exchanges share among them,
// with streams in progress or without.
func TestReloadKeepsSharedConnections(t *testing.T) {
	release := make(chan bool)
	origin, conns := h2cServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
		if r.URL.Path == "/long" {
			_ = http.NewResponseController(w).Flush()
			<-release
		}
	}))
	port := e2e.Ports(t, 1)[0]
	config := func(generation int) string {
		return fmt.Sprintf("http://:%d {\n\tlog off\n\theader response X-Generation %d\n\tproxy p\n}\npool p {\n\tprotocol h2c\n\tserver one 127.0.0.1:%d\n}\n",
			port, generation, origin)
	}
	in := e2e.Run(t, config(0), port)
	long := e2e.Dial(t, port)
	long.Send("GET /long HTTP/1.1\r\nHost: h\r\n\r\n")
	c := e2e.Dial(t, port)
	for generation := 1; generation <= 5; generation++ { // each other than the one before: the answer tells that it is in force
		in.Write(e2e.Options(in.Dir) + config(generation))
		in.Reload()
		var a e2e.Answer
		if !rig.Until(e2e.Patience, func() bool {
			c.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			a = c.Answer("GET")
			return a.Header.Get("X-Generation") == fmt.Sprint(generation)
		}) || a.Body != "HTTP/2.0" {
			t.Fatalf("generation %d: %d %q %v", generation, a.Status, a.Body, a.Err)
		}
	}
	close(release)
	if a := long.Answer("GET"); a.Status != 200 || a.Body != "HTTP/2.0" || !a.Complete {
		t.Errorf("the long answer: %d %q %v", a.Status, a.Body, a.Err)
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections over 5 reloads", n)
	}
}
