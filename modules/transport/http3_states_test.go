package transport

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// The ends of a stream, its connection or its client while an exchange is between two
// things: nobody waits for ever, nothing of ours stays, and the next exchange is well.
func TestQUICBetween(t *testing.T) {
	const half = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
	dies := func(p *peer3, _ *call3) { _ = p.CloseWithError(0x102, "") }
	cut := func(_ *peer3, c *call3) { c.resets(wire.CodeInternal) }
	speaks := func(_ *peer3, c *call3) {
		for _, err := c.Write(headers(":status", "200")); err == nil; {
			_, err = c.Write(data("more"))
		}
	}
	no := func(_ *peer3, c *call3) { c.says(headers(":status", "413"), data("no")) }
	leaves := func(c *client) { _ = c.SetLinger(0); _ = c.Close() }
	for name, tt := range map[string]struct {
		send   string                   // what the client sends, to begin with
		server func(p *peer3, c *call3) // does at the head
		client func(c *client)          // does then; nil: it waits for the answer
		want   string                   // of the answer; "" if nobody is there to get it
		flags  string                   // of the fault
	}{
		"connection dies while the body is waited for": {half, dies, nil, "502 ", "SH begun"},
		"stream is cut while the body is waited for":   {half, cut, nil, "502 ", "SH begun"},
		"connection dies while no window is open":      {half + strings.Repeat("x", 900_000), dies, nil, "502 ", "SH begun"},
		"stream is cut while no window is open":        {half + strings.Repeat("x", 900_000), cut, nil, "502 ", "SH begun"},
		"answer while the body is waited for":          {half, no, nil, "413 no", "none"},
		"answer while no window is open":               {half + strings.Repeat("x", 900_000), no, nil, "413 no", "none"},
		"reading ends while the body is waited for":    {half, func(_ *peer3, c *call3) { c.CancelRead(quic.StreamErrorCode(wire.CodeNone)); c.answer("enough") }, nil, "200 enough", "none"},
		"client leaves while its body is waited for":   {half, nil, leaves, "", "CD"},
		"connection dies behind an interim answer":     {get, func(p *peer3, c *call3) { _, _ = c.Write(headers(":status", "103")); <-inside3; dies(p, c) }, func(c *client) { _ = c.answer("GET"); inside3 <- true }, "502 ", "SH begun"},
		"connection dies in the middle of a head": {get, func(p *peer3, c *call3) {
			_, _ = c.Write(headers(":status", "200")[:3])
			_, _ = c.Write([]byte{0})
			dies(p, c)
		}, nil, "502 ", "SH begun"},
		"stream ends in the middle of a head":          {get, func(_ *peer3, c *call3) { c.says(headers(":status", "200")[:3]) }, nil, "502 ", "SH begun"},
		"client leaves while the answer is on its way": {get, speaks, func(c *client) { _, _ = c.br.Peek(20); leaves(c) }, "", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			inside3 = make(chan bool, 1)
			before := runtime.NumGoroutine()
			t.Run("it", func(t *testing.T) {
				seen := make(chan bool, 1)
				s := newServer3(t, &quic.Config{InitialStreamReceiveWindow: 1000, MaxStreamReceiveWindow: 1000}, func(p *peer3, n int) {
					if c := p.head(); c != nil && n == 0 && c.fields[":path"] != "/next" {
						seen <- true
						if tt.server != nil {
							tt.server(p, c)
						}
					} else if c != nil {
						c.answer("well")
					}
					p.serves("well")
				})
				g := newGate3(t, s.addr, testTimeouts)
				c := (&proxy{addr: g.h1}).dial(t)
				go func() { _, _ = io.WriteString(c, tt.send) }() // of which not all may be taken
				<-seen
				if tt.client != nil {
					tt.client(c)
				}
				if tt.want != "" {
					if r := c.answer("POST"); fmt.Sprintf("%d %s", r.StatusCode, r.body) != tt.want {
						t.Errorf("%d %s, want %s", r.StatusCode, r.body, tt.want)
					}
				}
				until(t, "the fault "+tt.flags, func() bool {
					f := g.fault.Load()
					return tt.flags == "none" || flags(f) == tt.flags
				})
				_ = c.Close()
				cl, url := g.client(t, false)
				if got := ask(cl, "GET", url+"/next", ""); got != "200 well" {
					t.Errorf("then %s", got)
				}
			})
			until(t, "the goroutines' end", func() bool { return runtime.NumGoroutine() <= before+2 })
		})
	}
}

var _ flow.Witness = (*strand)(nil)
