package main_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// Requests that came together are served one after the other however long that
// takes: the deadline of the wait before them is not theirs. Chunked ones leave
// the callback of the read, which is where one was met.
func TestPipelinedRequestsTakeTheirTime(t *testing.T) {
	t.Parallel()
	o := e2e.NewOrigin(t, func(c net.Conn, m *e2e.Message) bool {
		if m.Target == "/slow" {
			time.Sleep(400 * time.Millisecond) // five of them are more than the idle wait's first deadline
		}
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return err == nil
	})
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, plain(port, o.Port), port)
	c := e2e.Dial(t, port)
	c.Send("GET /quick HTTP/1.1\r\nHost: h\r\n\r\n")
	if a := c.Answer("GET"); a.Status != 200 {
		t.Fatalf("%d (%v)", a.Status, a.Err)
	}
	const n = 7
	c.Send(strings.Repeat("POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", n))
	for i := range n {
		if a := c.Answer("POST"); a.Status != 200 {
			t.Fatalf("request %d: %d (%v)", i, a.Status, a.Err)
		}
	}
}
