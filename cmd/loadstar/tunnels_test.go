package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// switching is a server that agrees to every Upgrade and CONNECT with a greeting
// in the same packet, and echoes from then on.
func switching(t *testing.T) int {
	return rawServer(t, func(c net.Conn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		switch {
		case r.Method == http.MethodConnect:
			_, _ = io.WriteString(c, "HTTP/1.1 200 Connected\r\n\r\nhi ")
		case r.Header.Get("Upgrade") != "":
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhi ")
		default:
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			return
		}
		_, _ = io.Copy(c, br)
		_, _ = io.WriteString(c, "bye")
	})
}

// upgrade asks for a WebSocket (RFC 6455 §4.1).
const upgrade = "GET /ws HTTP/1.1\r\nHost: www.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func TestTunnels(t *testing.T) {
	origin := switching(t)
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, plain(port, origin), port)
	for name, c := range map[string]struct {
		raw    string
		status int
	}{
		"upgrade": {upgrade, 101},
		"connect": {"CONNECT www.example:80 HTTP/1.1\r\nHost: www.example:80\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			client := e2e.Dial(t, port)
			client.Send(c.raw)
			method, _, _ := strings.Cut(c.raw, " ")
			res, err := http.ReadResponse(client.R, &http.Request{Method: method})
			if err != nil || res.StatusCode != c.status {
				t.Fatalf("%v (%v)", res, err)
			}
			client.Send("ping")
			got := make([]byte, 7)
			if _, err := io.ReadFull(client.R, got); err != nil || string(got) != "hi ping" {
				t.Fatalf("through the tunnel: %q (%v)", got, err)
			}
			// Half-close is passed on, and the other half still works.
			client.CloseWrite()
			rest, err := io.ReadAll(client.R)
			if err != nil || string(rest) != "bye" {
				t.Errorf("after the half-close: %q (%v)", rest, err)
			}
		})
	}

	t.Run("bytes behind an upgrade wait for the 101", func(t *testing.T) {
		client := e2e.Dial(t, port)
		client.Send(upgrade + "early")
		if a := client.Answer("GET"); a.Status != 101 {
			t.Fatalf("%d (%v)", a.Status, a.Err)
		}
		got := make([]byte, 8)
		if _, err := io.ReadFull(client.R, got); err != nil || string(got) != "hi early" {
			t.Errorf("%q (%v)", got, err)
		}
	})
}

// TestRefusedUpgrade: a server that does not switch leaves HTTP behind, and what
// was pipelined is the next request.
func TestRefusedUpgrade(t *testing.T) {
	port, o := front(t)
	c := e2e.Dial(t, port)
	c.Send(upgrade + get(""))
	for i := range 2 {
		if a := c.Answer("GET"); a.Status != 200 || a.Body != "ok" {
			t.Fatalf("answer %d: %d %q (%v)", i, a.Status, a.Body, a.Err)
		}
	}
	c.Close()
	messages, broken := o.Settled(t, port)
	if len(messages) != 2 || len(broken) > 0 || messages[1].Target != "/case" {
		t.Errorf("forwarded: %+v %q", messages, broken)
	}
}

// TestTCPPassthrough: bytes and half-closes pass in both directions.
func TestTCPPassthrough(t *testing.T) {
	origin := rawServer(t, func(c net.Conn, br *bufio.Reader) {
		n, _ := io.Copy(io.Discard, br)
		_, _ = fmt.Fprintf(c, "%d", n)
	})
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, fmt.Sprintf("tcp://127.0.0.1:%d {\n\tlog off\n\tproxy s\n}\n\npool s {\n\tserver one 127.0.0.1:%d\n}\n", port, origin), port)
	c := e2e.Dial(t, port)
	c.Send(strings.Repeat("0123456789", 1<<20))
	c.CloseWrite()
	got, err := io.ReadAll(c.R)
	if err != nil || string(got) != fmt.Sprint(10<<20) {
		t.Errorf("%q (%v)", got, err)
	}
}
