package transport

import (
	"crypto/sha1"
	"encoding/base64"
	"net"
	"os"
	"sync"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// noTunnels is a request to switch protocols whose server cannot (RFC 8441 §3).
func noTunnels() *flow.Error {
	return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Status: 502, Cause: "server takes no extended CONNECT", Begun: true}
}

// websocketGUID is RFC 6455 §1.3's.
const websocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// switched makes of a 2xx to an extended CONNECT the 101 that HTTP/1 has for it
// (RFC 8441 §5), with the answer to a WebSocket's key, which the server has not seen.
func switched(x *flow.Exchange, r *flow.Response) {
	r.ContentLength = -1
	q := &x.Req
	if len(q.Upgrade) == 0 {
		return // CONNECT
	}
	r.Status, r.Upgrade = 101, q.Upgrade
	r.Header.DelID(flow.FieldContentLength)
	if key := q.Header.GetID(flow.FieldSecWebSocketKey); len(key) > 0 && flow.EqualFold(q.Upgrade, "websocket") {
		sum := sha1.Sum(append(append([]byte(nil), key...), websocketGUID...))
		r.Header.DelID(flow.FieldSecWebSocketAccept)
		r.Header.Add("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	}
}

// muxTunnel is a stream as a tunnel's server side.
type muxTunnel struct {
	body muxBody
	s    *stream
	over sync.Once
}

func (t *muxTunnel) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	if fault, ok := err.(*flow.Error); ok && fault.Timeout {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

func (t *muxTunnel) Write(p []byte) (n int, err error) {
	s := t.s
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		if s.localEnded || s.stopped || s.reset || m.failed != nil {
			return n, net.ErrClosed
		}
		k := s.offer(p)
		n, p = n+k, p[k:]
		switch {
		case len(p) == 0:
			m.flush()
			return n, nil
		case overdue(s.writeBy):
			return n, os.ErrDeadlineExceeded
		case !m.writing && len(m.out) > 0:
			m.flush()
		default:
			s.queue()
			s.wait()
		}
	}
}

// CloseWrite ends our side.
func (t *muxTunnel) CloseWrite() error {
	s := t.s
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.localEnded || s.gone || s.reset || s.m.failed != nil {
		return nil
	}
	s.endStream()
	s.localEnd()
	s.m.flush()
	return nil
}

// Close ends the stream, cutting what has not ended.
func (t *muxTunnel) Close() error {
	t.over.Do(func() {
		s := t.s
		s.m.mu.Lock()
		defer s.m.mu.Unlock()
		s.fail(&flow.Error{Side: flow.SideServer, Cause: "tunnel closed", Err: net.ErrClosed})
		s.closed = true
		if !s.gone {
			s.cut(h2.CodeCancel)
			s.m.flush()
		}
		s.unqueue()
		// Reader and writer may still be waking up: the stream is not for others.
	})
	return nil
}

// SetDeadline sets both.
func (t *muxTunnel) SetDeadline(at time.Time) error {
	_ = t.SetReadDeadline(at)
	return t.SetWriteDeadline(at)
}

// SetReadDeadline sets when reads end; the zero time is never.
func (t *muxTunnel) SetReadDeadline(at time.Time) error { return t.set(&t.s.readBy, at) }

// SetWriteDeadline sets when writes end.
func (t *muxTunnel) SetWriteDeadline(at time.Time) error { return t.set(&t.s.writeBy, at) }

func (t *muxTunnel) set(by *int64, at time.Time) error {
	s := t.s
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	*by = 0
	if !at.IsZero() {
		*by = max(flow.At(at), 1)
		s.m.alarm(*by)
	}
	s.cond.Broadcast()
	return nil
}
