package http2

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

func newEncoder(c *raw) *hpack.Encoder { return hpack.NewEncoder(&c.buf) }

// piped serves a connection in memory that sends some bytes, then nothing, and
// reads until the end.
func piped(limits flow.Limits, s flow.Server, send string) error {
	client, server := net.Pipe()
	var source flow.Source
	source.Store(&flow.Binding{Server: s, Generation: flow.NewGeneration(1), Limits: limits})
	done := make(chan struct{})
	go func() {
		defer close(done)
		Server{}.ServeConn(&flow.Conn{Conn: server, Accepted: time.Now(), Source: &source})
	}()
	go func() { _, _ = io.WriteString(client, send) }()
	_, err := io.Copy(io.Discard, client)
	_ = client.Close()
	<-done
	return err
}

// FuzzFrames: no bytes make a connection panic or hang.
func FuzzFrames(f *testing.F) {
	var c raw
	c.enc = newEncoder(&c)
	head := h2.Preface + frameBytes(h2.TypeSettings, 0, 0, "")
	block := string(c.block(post("/", "content-length", "5")...))
	f.Add([]byte(""))
	f.Add([]byte(frameBytes(h2.TypeHeaders, h2.FlagEndHeaders, 1, block) + frameBytes(h2.TypeData, h2.FlagEndStream, 1, "12345")))
	f.Add([]byte(frameBytes(h2.TypeHeaders, 0, 1, block[:5]) + frameBytes(h2.TypeContinuation, h2.FlagEndHeaders, 1, block[5:])))
	f.Add([]byte(frameBytes(h2.TypeWindow, 0, 0, "\x00\x00\x00\x01") + frameBytes(h2.TypeReset, 0, 1, "\x00\x00\x00\x08")))
	f.Fuzz(func(_ *testing.T, p []byte) {
		limits := testLimits
		limits.Header, limits.Idle, limits.Stall = 10*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
		client, server := net.Pipe()
		var source flow.Source
		source.Store(&flow.Binding{Server: flowtest.Func(func(x *flow.Exchange) {
			_, _ = io.Copy(io.Discard, x.Req.Body)
			_ = x.Respond(200, "", []byte("ok"))
		}), Generation: flow.NewGeneration(1), Limits: limits})
		go func() { _, _ = io.Copy(io.Discard, client) }()
		go func() {
			_, _ = io.WriteString(client, head)
			_, _ = client.Write(p)
			_ = client.Close()
		}()
		Server{}.ServeConn(&flow.Conn{
			Conn: server, Accepted: time.Now(), Source: &source,
			Caught: func(p any, stack []byte) { panic(string(stack)) },
		})
	})
}
