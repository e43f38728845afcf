package http3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"

	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// raw is a client that sends any bytes on any stream.
type raw struct {
	*quic.Conn
	control *quic.SendStream
	t       testing.TB
}

func (h *host) dial(t testing.TB) *raw { return h.dialWith(t, &quic.Config{}) }

// dialWith connects, and sends settings.
func (h *host) dialWith(t testing.TB, conf *quic.Config) *raw {
	t.Helper()
	conf.HandshakeIdleTimeout = guardTime
	to, err := net.ResolveUDPAddr("udp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	// Its own transport ends at once with the test. That of DialAddr lingers for three
	// probe timeouts, which are long where packets had to queue behind others.
	tr := &quic.Transport{Conn: listenUDP(t)}
	q, err := tr.Dial(t.Context(), to, clientTLS, conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = q.CloseWithError(0, "")
		_ = tr.Close()
	})
	c := &raw{Conn: q, t: t}
	c.control = c.uni(wire.StreamControl, frame(wire.FrameSettings, ""))
	return c
}

func frame(kind uint64, payload string) string {
	return string(wire.AppendFrame(nil, kind, uint64(len(payload)))) + payload
}

// section encodes fields given as name, value, name, value.
func section(fields ...string) string {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.String()
}

func headers(fields ...string) string { return frame(wire.FrameHeaders, section(fields...)) }

func data(s string) string { return frame(wire.FrameData, s) }

// uni opens a stream of one direction.
func (c *raw) uni(kind uint64, send string) *quic.SendStream {
	c.t.Helper()
	u, err := c.OpenUniStream()
	if err != nil {
		c.t.Fatal(err)
	}
	_, _ = u.Write(append(wire.AppendVarint(nil, kind), send...))
	return u
}

// open sends bytes on a new stream, and ends it if end is set.
func (c *raw) open(send string, end bool) *quic.Stream {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), guardTime)
	defer cancel()
	q, err := c.OpenStreamSync(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = q.SetDeadline(time.Now().Add(guardTime))
	_, _ = q.Write([]byte(send))
	if end {
		_ = q.Close()
	}
	return q
}

// got is what came for a stream.
type got struct {
	status  []string // interim ones first
	header  map[string]string
	body    string
	trailer map[string]string
	err     error // nil: it ended
}

// cut gives the code that the stream was cut with, 0 if it was not.
func (g *got) cut() wire.Code {
	var e *quic.StreamError
	if errors.As(g.err, &e) {
		return wire.Code(e.ErrorCode)
	}
	return 0
}

// closed gives the code that the connection was closed with, 0 if it was not.
func closed(err error) wire.Code {
	var e *quic.ApplicationError
	if errors.As(err, &e) && e.Remote {
		return wire.Code(e.ErrorCode)
	}
	return 0
}

// collect reads a stream to its end, a cut, or the connection's end.
func collect(t testing.TB, q io.Reader) *got {
	t.Helper()
	g := &got{}
	var p []byte
	buf := make([]byte, 8<<10)
	for g.err == nil {
		n, err := q.Read(buf)
		if p = append(p, buf[:n]...); err != nil {
			g.err = err
		}
		for {
			kind, size, k := wire.ParseFrame(p)
			if k == 0 || size > uint64(len(p)-k) {
				if kind == wire.FrameData && k > 0 && g.err != nil {
					g.body += string(p[k:]) // what there is of it
				}
				break
			}
			g.take(t, kind, p[k:k+int(size)])
			p = p[k+int(size):]
		}
	}
	if g.err == io.EOF {
		if g.err = nil; len(p) > 0 {
			g.err = io.ErrUnexpectedEOF
		}
	}
	return g
}

func (g *got) take(t testing.TB, kind uint64, p []byte) {
	switch kind {
	case wire.FrameData:
		g.body += string(p)
	case wire.FrameHeaders:
		m := map[string]string{}
		for next := qpack.NewDecoder().Decode(p); ; {
			f, err := next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if m[f.Name] = f.Value; f.Name == ":status" {
				g.status = append(g.status, f.Value)
			}
		}
		if m[":status"] != "" {
			g.header = m
		} else {
			g.trailer = m
		}
	default:
		t.Errorf("a frame of type %d", kind)
	}
}

// ask sends a request and gives the answer.
func (c *raw) ask(send string) *got {
	c.t.Helper()
	return collect(c.t, c.open(send, true))
}

// wantClosed wants the connection to be closed with one of the codes.
func (c *raw) wantClosed(codes ...wire.Code) {
	c.t.Helper()
	select {
	case <-c.Context().Done():
	case <-time.After(guardTime):
		c.t.Fatalf("it is still open; want it closed with %x", codes)
	}
	if e := closed(context.Cause(c.Context())); !slices.Contains(codes, e) {
		c.t.Errorf("closed with %v, want %x", context.Cause(c.Context()), codes)
	}
}

func (g *got) String() string {
	return fmt.Sprintf("%v %v %.60q %v %v", g.status, g.header, g.body, g.trailer, g.err)
}
