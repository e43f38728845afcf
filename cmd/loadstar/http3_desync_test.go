package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// secureFront is front with a port of TLS beside the one in clear.
func secureFront(t *testing.T) (clear, secure int, o *e2e.Origin) {
	t.Helper()
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "s.crt"), filepath.Join(dir, "s.key")
	newIssuer(t).pair(t, crt, key, "www.example")
	options, _ := secureOptions(t)
	o = e2e.NewOrigin(t, nil)
	p := e2e.Ports(t, 2)
	e2e.Run(t, options+plain(p[0], o.Port)+fmt.Sprintf("https://:%d {\n\ttls %s %s\n\tlog off\n\tproxy web\n}\n", p[1], crt, key), p...)
	return p[0], p[1], o
}

// frames3 is an HTTP/3 client that sends what it is told.
type frames3 struct{ *quic.Conn }

func dialFrames3(t *testing.T, port int) frames3 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
	defer cancel()
	trust := &tls.Config{InsecureSkipVerify: true, ServerName: "www.example", NextProtos: []string{"h3"}}
	q, err := quic.DialAddr(ctx, rig.Addr(port), trust, &quic.Config{HandshakeIdleTimeout: e2e.Patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.CloseWithError(0x100, "") })
	u, err := q.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = u.Write([]byte{wire.StreamControl, wire.FrameSettings, 0})
	return frames3{q}
}

// headers3 is a HEADERS frame.
func headers3(fields ...string) []byte {
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return append(wire.AppendFrame(nil, wire.FrameHeaders, uint64(block.Len())), block.Bytes()...)
}

// ask sends the bytes of a stream and gives the answer's status, "" if none came.
func (c frames3) ask(t *testing.T, parts ...[]byte) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
	defer cancel()
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.SetDeadline(time.Now().Add(e2e.Patience))
	for _, p := range parts {
		_, _ = s.Write(p)
	}
	_ = s.Close()
	all, _ := io.ReadAll(s) // a reset is an answer, too
	if c.Context().Err() != nil {
		t.Fatal(context.Cause(c.Context()))
	}
	kind, size, n := wire.ParseFrame(all)
	if n == 0 || kind != wire.FrameHeaders || size > uint64(len(all)-n) {
		return ""
	}
	f, err := qpack.NewDecoder().Decode(all[n : n+int(size)])()
	if err != nil || f.Name != ":status" {
		t.Fatalf("%v %v", f, err)
	}
	return f.Value
}

// TestHTTP3Desync is TestHTTP2Desync over QUIC.
func TestHTTP3Desync(t *testing.T) {
	clear, secure, o := secureFront(t)
	others := parsers(t)
	for field := range 12 {
		t.Run(fmt.Sprint(field), func(t *testing.T) {
			var c frames3
			answered := 0
			for b := range 256 {
				if b%64 == 0 { // refusals cost a client its welcome
					c = dialFrames3(t, secure)
				}
				f := spoilt(field, byte(b))
				if f[3] == "http" {
					f[3] = "https"
				}
				status := c.ask(t, headers3(f...))
				if status == "200" {
					answered++
				} else if status != "400" {
					t.Errorf("byte %#x: status %q", b, status)
				}
				if bad := b < ' ' && b != '\t' || b == 0x7f; bad && status == "200" {
					t.Errorf("byte %#x is let through", b)
				}
			}
			// Nothing is good in "http", "trailers" and the host, and only 0 before a length.
			if good := field != 1 && field < 8 || field == 11; good && answered == 0 {
				t.Error("nothing at all is let through")
			}
			messages, broken := o.Settled(t, clear)
			if len(broken) > 0 {
				t.Errorf("bytes that are no request were forwarded: %q", broken)
			}
			if len(messages) != answered {
				t.Errorf("%d messages for %d answers", len(messages), answered)
			}
			agreed(t, others, messages)
			for _, m := range messages {
				if !m.Complete || m.Body != "" || field != 2 && m.Host != "www.example" || field > 0 && m.Method != "GET" {
					t.Errorf("forwarded: %q", m.Raw)
				}
			}
		})
	}
}

// TestHTTP3ContentLength is TestHTTP2ContentLength over QUIC.
func TestHTTP3ContentLength(t *testing.T) {
	clear, secure, o := secureFront(t)
	head := headers3(":method", "POST", ":scheme", "https", ":authority", "www.example", ":path", "/case", "content-length", "5")
	data := func(s string) []byte {
		return append(wire.AppendFrame(nil, wire.FrameData, uint64(len(s))), s...)
	}
	for name, parts := range map[string][][]byte{
		"no body":  {head},
		"short":    {head, data("1234")},
		"long":     {head, data(smuggled)},
		"empty":    {head, data("")},
		"trailers": {head, headers3("x", "y")},
		"late end": {head, data("12345"), data("6")},
	} {
		t.Run(name, func(t *testing.T) {
			if status := dialFrames3(t, secure).ask(t, parts...); status == "200" && name != "late end" {
				t.Error("it is answered")
			}
			messages, broken := o.Settled(t, clear)
			for _, m := range messages {
				if m.Complete && (name != "late end" || m.Body != "12345") {
					t.Errorf("forwarded as whole: %q", m.Raw)
				}
			}
			for _, b := range broken {
				t.Errorf("no request: %q", b)
			}
		})
	}
}
