package main_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// A tunnel passes a server of HTTP/2 or HTTP/3 that takes extended CONNECT, here
// another Loadstar.
func TestTunnelsThroughServers(t *testing.T) {
	t.Parallel()
	port := e2e.Ports(t, 2)
	e2e.Run(t, plain(port[1], switching(t)), port[1])
	e2e.Run(t, strings.Replace(plain(port[0], port[1]), "pool web {", "pool web {\n\tprotocol h2c", 1), port[0])
	h3, _, _ := behindH3(t, switching(t))
	for version, port := range map[string]int{"HTTP/2": port[0], "HTTP/3": h3} {
		t.Run(version, func(t *testing.T) { tunnelsThrough(t, port) })
	}
}

func tunnelsThrough(t *testing.T, port int) {
	for name, raw := range map[string]string{
		"upgrade": strings.NewReplacer("websocket", "echo", "www.example", "localhost").Replace(upgrade),
		"connect": "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			client := e2e.Dial(t, port)
			client.Send(raw)
			method, _, _ := strings.Cut(raw, " ")
			res, err := http.ReadResponse(client.R, &http.Request{Method: method})
			if err != nil || res.StatusCode != map[string]int{"upgrade": 101, "connect": 200}[name] {
				t.Fatalf("%v (%v)", res, err)
			}
			client.Send("ping")
			got := make([]byte, 7)
			if _, err := io.ReadFull(client.R, got); err != nil || string(got) != "hi ping" {
				t.Fatalf("through the tunnel: %q (%v)", got, err)
			}
			// Larger than every window on the way.
			text := strings.Repeat("0123456789abcdef", 1<<15)
			var wg sync.WaitGroup
			wg.Go(func() { client.Send(text) })
			echo := make([]byte, len(text))
			if _, err := io.ReadFull(client.R, echo); err != nil || string(echo) != text {
				t.Fatalf("%d bytes echoed (%v)", len(echo), err)
			}
			wg.Wait()
			client.CloseWrite()
			if rest, err := io.ReadAll(client.R); err != nil || string(rest) != "bye" {
				t.Errorf("after the half-close: %q (%v)", rest, err)
			}
		})
	}
}

// A server that takes no extended CONNECT cannot have a tunnel: 502.
func TestNoTunnelThroughServer(t *testing.T) {
	origin, _ := h2cServer(t, http.NotFoundHandler())
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, strings.Replace(plain(port, origin), "pool web {", "pool web {\n\tprotocol h2c", 1), port)
	client := e2e.Dial(t, port)
	client.Send(upgrade)
	if a := client.Answer("GET"); a.Status != 502 {
		t.Errorf("an upgrade to a server without extended CONNECT: %d", a.Status)
	}
}
