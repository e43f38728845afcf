package transport

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// given is a stream on which a server has said something already, piece by piece.
type given struct {
	said  []byte
	piece int
	end   error
	cut   bool
}

func (g *given) Read(p []byte) (int, error) {
	switch {
	case g.cut:
		return 0, &quic.StreamError{ErrorCode: quic.StreamErrorCode(wire.CodeCancelled)}
	case len(g.said) == 0:
		return 0, g.end
	}
	n := copy(p[:min(len(p), g.piece)], g.said)
	g.said = g.said[n:]
	return n, nil
}

func (g *given) Write(p []byte) (int, error)       { return len(p), nil }
func (g *given) Close() error                      { return nil }
func (g *given) StreamID() quic.StreamID           { return 0 }
func (g *given) CancelRead(quic.StreamErrorCode)   { g.cut = true }
func (g *given) CancelWrite(quic.StreamErrorCode)  {}
func (g *given) SetDeadline(time.Time) error       { return nil }
func (g *given) SetReadDeadline(time.Time) error   { return nil }
func (g *given) SetWriteDeadline(time.Time) error  { return nil }
func (g *given) Context() context.Context          { return context.Background() }
func (g *given) OpenStream() (*quic.Stream, error) { return nil, io.EOF }

func (g *given) OpenUniStream() (*quic.SendStream, error) { return nil, io.EOF }
func (g *given) AcceptUniStream(context.Context) (*quic.ReceiveStream, error) {
	return nil, io.EOF
}

func (g *given) CloseWithError(quic.ApplicationErrorCode, string) error {
	g.cut = true
	return nil
}

// hears takes interim answers.
type hears struct{ flow.Responder }

func (hears) Inform(int, *flow.Header) error { return nil }

// strandOn gives a stream that was opened for a GET.
func strandOn(g *given) *strand {
	srv := &upstream.Server{Timeouts: testTimeouts, Live: upstream.NewLive(), Protocol: upstream.H3}
	c := newLine(g, srv, &sharing[*line]{})
	c.watch.Stop()
	x := &flow.Exchange{}
	x.Begin(&flow.Conn{}, hears{})
	x.Req.Method, x.Req.Target = "GET", []byte("/")
	s := new(strand)
	s.begin(c, g)
	s.x, s.t = x, &srv.Timeouts
	c.open = append(c.open, s)
	return s
}

// FuzzStrandAnswer: whatever a server sends on a stream, in whatever pieces, nothing
// panics or goes on for ever, what is taken for an answer can be written to a client
// and is no more than what came, and what is kept of it is bounded.
func FuzzStrandAnswer(f *testing.F) {
	ok := headers(":status", "200", "x-a", "b")
	for _, frames := range [][][]byte{
		{ok, data("ok")},
		{ok, data(""), data("ok"), headers("x-b", "c")},
		{headers(":status", "103", "link", "x"), ok, data("ok")},
		{wire.AppendFrame(nil, 0x21, 3), []byte("abc"), ok, wire.AppendFrame(nil, 0x40, 0), data("ok")},
		{headers(":status", "200", "content-length", "2"), data("o"), data("k")},
		{headers(":status", "204")},
		{ok, wire.AppendFrame(nil, wire.FrameData, 1<<40), []byte("x")},
		{wire.AppendFrame(nil, wire.FrameHeaders, 1<<40)},
		{ok, wire.AppendFrame(nil, wire.FrameSettings, 0)},
		{headers(":status", "200", "connection", "close")},
	} {
		f.Add(bytes.Join(frames, nil), byte(0), false)
		f.Add(bytes.Join(frames, nil), byte(1), true)
	}
	f.Fuzz(func(t *testing.T, said []byte, piece byte, reset bool) {
		g := &given{said: said, piece: int(piece) + 1, end: io.EOF}
		if reset {
			g.end = &quic.StreamError{ErrorCode: quic.StreamErrorCode(wire.CodeRejected), Remote: true}
		}
		s := strandOn(g)
		fault := s.answer()
		if len(s.in) > 2*(2*headLimit+16) {
			t.Fatalf("%d bytes are kept of a head", len(s.in))
		}
		if fault != nil {
			if fault.StatusCode() != 502 || !fault.Begun && !reset {
				t.Fatalf("%+v", fault)
			}
			return
		}
		s.answered()
		checkHead(t, s.x)
		body, got := s.x.Resp.Body, 0
		for {
			p, err := body.Next()
			if got += len(p); got > len(said) {
				t.Fatal("more than what came")
			}
			if err == io.EOF {
				break
			}
			if fault, isFault := err.(*flow.Error); isFault && fault.Begun {
				return
			}
			if err != nil || len(p) == 0 {
				t.Fatalf("%d bytes, %v", len(p), err)
			}
		}
		if n := s.head.length; n >= 0 && !s.nobody && n != int64(got) {
			t.Fatalf("%d bytes of %d are a whole body", got, n)
		}
		if reset {
			t.Fatal("a body that was cut is whole")
		}
		if tr := body.Trailer(); tr != nil {
			x := *s.x
			x.Resp.Header = *tr
			checkHead(t, &x)
		}
	})
}
