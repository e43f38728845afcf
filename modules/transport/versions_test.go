package transport

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/http2"

	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// What holds for both versions whose connections are shared is tested once, by fake
// servers that differ in nothing but their frames; see shared_test.go.

// wirePeer is one connection to such a server.
type wirePeer interface {
	ask() wireCall // the next request, whole; nil at the connection's end
	goAway(c wireCall, served bool)
	hangUp()
	waits() // until the client ends the connection
}

// wireCall is a request there.
type wireCall interface {
	path() string
	text() string // its body
	answer(text string)
	refuse() // nothing was done about it
	cancel() // something may have been
	left() bool
}

// eachVersion runs a test for HTTP/2 and HTTP/3. start gives a server that takes so
// many streams on a connection, and a gate before it.
func eachVersion(t *testing.T, test func(t *testing.T, start startFunc)) {
	t.Run("HTTP/2", func(t *testing.T) { test(t, start2) })
	t.Run("HTTP/3", func(t *testing.T) { test(t, start3) })
}

type startFunc func(t *testing.T, streams int, timeouts upstream.Timeouts, script func(p wirePeer, n int)) *gate

func start2(t *testing.T, streams int, timeouts upstream.Timeouts, script func(p wirePeer, n int)) *gate {
	settings := []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: uint32(streams)}}
	return newGate(t, newServer(t, settings, func(p *peer, n int) { script(&peer2{peer: p}, n) }), timeouts)
}

func start3(t *testing.T, streams int, timeouts upstream.Timeouts, script func(p wirePeer, n int)) *gate {
	s := newServer3(t, &quic.Config{MaxIncomingStreams: int64(streams)}, func(p *peer3, n int) { script(quicPeer{p}, n) })
	return newGate3(t, s.addr, timeouts)
}

// peer2 is HTTP/2's; answers may come from several goroutines.
type peer2 struct {
	*peer
	mu sync.Mutex
}

type call2 struct {
	*call
	p    *peer2
	body string
}

func (p *peer2) ask() wireCall {
	c := p.request()
	if c == nil {
		return nil
	}
	return &call2{c, p, p.body(c)}
}

func (p *peer2) goAway(c wireCall, served bool) {
	id := c.(*call2).id
	if !served {
		id -= 2
	}
	_ = p.WriteGoAway(id, http2.ErrCodeNo, nil)
}

func (p *peer2) hangUp() { _ = p.Conn.Close() }
func (p *peer2) waits()  { p.drain() }

func (c *call2) path() string { return c.fields[":path"] }
func (c *call2) text() string { return c.body }
func (c *call2) refuse()      { _ = c.p.WriteRSTStream(c.id, http2.ErrCodeRefusedStream) }
func (c *call2) cancel()      { _ = c.p.WriteRSTStream(c.id, http2.ErrCodeCancel) }

func (c *call2) answer(text string) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.answer(c.id, text)
}

// left waits until the client has cut the stream, and tells whether it said why.
func (c *call2) left() bool {
	for f := c.p.next(); f != nil; f = c.p.next() {
		if r, ok := f.(*http2.RSTStreamFrame); ok && r.StreamID == c.id {
			return r.ErrCode == http2.ErrCodeCancel
		}
	}
	return false
}

// quicPeer is HTTP/3's.
type quicPeer struct{ *peer3 }

type quicCall struct{ *call3 }

func (p quicPeer) ask() wireCall {
	c := p.request()
	if c == nil {
		return nil
	}
	return quicCall{c}
}

func (p quicPeer) goAway(c wireCall, served bool) {
	id := uint64(c.(quicCall).StreamID())
	if served {
		id += 4
	}
	v := wire.AppendVarint(nil, id)
	_, _ = p.control.Write(append(wire.AppendFrame(nil, wire.FrameGoAway, uint64(len(v))), v...))
}

func (p quicPeer) hangUp() { _ = p.CloseWithError(quic.ApplicationErrorCode(wire.CodeNone), "") }
func (p quicPeer) waits()  { <-p.Context().Done() }

func (c quicCall) path() string { return c.fields[":path"] }
func (c quicCall) text() string { return c.body }
func (c quicCall) refuse()      { c.resets(wire.CodeRejected) }
func (c quicCall) cancel()      { c.resets(wire.CodeCancelled) }

func (c quicCall) left() bool {
	<-c.Context().Done()
	var e *quic.StreamError
	return errors.As(context.Cause(c.Context()), &e) && wire.Code(e.ErrorCode) == wire.CodeCancelled
}
