package main_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// websocketOrigin echoes what comes behind a WebSocket handshake of HTTP/1.1, and
// refuses those for /no.
func websocketOrigin(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go echoWebSocket(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func echoWebSocket(c net.Conn) {
	defer func() { _ = c.Close() }()
	br := bufio.NewReader(c)
	r, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	if r.URL.Path == "/no" || r.Method != "GET" || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-Websocket-Version") != "13" {
		_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	_, _ = io.Copy(c, br)
}

// TestHTTP2Reload: reloads lose no request of HTTP/2 clients, and no connection is
// closed for them.
func TestHTTP2Reload(t *testing.T) {
	t.Parallel()
	origin := e2e.NewOrigin(t, nil)
	port := e2e.Ports(t, 1)[0]
	in := e2e.Run(t, fmt.Sprintf("http://:%d {\n\tproxy 127.0.0.1:%d\n}\n", port, origin.Port), port)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	var dials atomic.Int64
	tr.DialContext = (&countingDialer{&dials}).dial
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: e2e.Patience}
	for i := range 300 {
		if i%30 == 10 {
			in.Reload()
		}
		res, err := client.Get("http://" + rig.Addr(port) + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || string(body) != "ok" || res.ProtoMajor != 2 {
			t.Fatalf("%d: %s %q %v", i, res.Proto, body, err)
		}
		time.Sleep(time.Millisecond) // reloads are to fall between requests, too
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// countingDialer counts connections.
type countingDialer struct{ n *atomic.Int64 }

func (d *countingDialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d.n.Add(1)
	var nd net.Dialer
	return nd.DialContext(ctx, network, addr)
}

// TestHTTP2Duplex: words go up to a server of HTTP/1.1 and come down again while
// the request is still open, as streaming calls do; then the trailer follows.
func TestHTTP2Duplex(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		w.Header().Set("Trailer", "Grpc-Status")
		_ = rc.Flush()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = rc.Flush()
			if err != nil {
				break
			}
		}
		w.Header().Set("Grpc-Status", "0")
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, fmt.Sprintf("http://:%d {\n\tproxy %s\n}\n", port, l.Addr()), port)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	up, w := io.Pipe()
	req, err := http.NewRequest("POST", "http://"+rig.Addr(port)+"/call", up)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: tr, Timeout: e2e.Patience}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	for i := range 20 {
		word := fmt.Sprintf("word %d,", i)
		_, _ = io.WriteString(w, word)
		got := make([]byte, len(word))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != word {
			t.Fatalf("%q %v, want %q", got, err, word)
		}
	}
	_ = w.Close()
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 || res.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("rest %q, %v, trailer %v", rest, err, res.Trailer)
	}
}

// TestHTTP2ByALPN: a TLS site speaks HTTP/2 to who asks for it, and HTTP/1 to the
// others.
func TestHTTP2ByALPN(t *testing.T) {
	options, _ := secureOptions(t)
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, options+fmt.Sprintf("https://localhost:%d {\n\ttls internal\n\trespond \"{http.scheme} {http.host}\"\n}\n", port), port)
	for major, two := range map[int]bool{1: false, 2: true} {
		tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		tr.Protocols.SetHTTP1(!two)
		tr.Protocols.SetHTTP2(two)
		res, err := (&http.Client{Transport: tr, Timeout: e2e.Patience}).Get(fmt.Sprintf("https://localhost:%d/", port))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		tr.CloseIdleConnections()
		if res.ProtoMajor != major || string(body) != "https localhost" {
			t.Errorf("%s, %q", res.Proto, body)
		}
	}
}
