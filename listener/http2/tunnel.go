package http2

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// upgrade makes an extended CONNECT the request that HTTP/1 has for it: GET with
// an Upgrade field (RFC 8441 §5). The key that goes with a WebSocket's is made up
// here, and so is the check of its answer.
func (s *stream) upgrade(r *flow.Request) {
	h := &s.head
	protocol := h.bytes(h.pseudo[pseudoProtocol])
	if len(protocol) == 0 || flow.EqualFold(protocol, "h2c") || flow.EqualFold(protocol, "h2") {
		h.bad("malformed :protocol")
		return
	}
	for _, c := range protocol {
		if c <= ' ' || c >= 0x7f || c == ',' || c == ';' || c == ':' {
			h.bad("malformed :protocol")
			return
		}
	}
	if s.remoteEnded {
		h.bad("CONNECT on a stream that has ended")
		return
	}
	r.Method, r.Upgrade = "GET", protocol
	if !flow.EqualFold(protocol, "websocket") {
		return
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	var key [24 + len(websocketGUID)]byte
	base64.StdEncoding.Encode(key[:24], raw[:])
	r.Header.DelID(flow.FieldSecWebSocketKey)
	r.Header.AddID(flow.FieldSecWebSocketKey, key[:24])
	copy(key[24:], websocketGUID)
	sum := sha1.Sum(key[:])
	base64.StdEncoding.Encode(s.accept[:], sum[:])
}

// websocketGUID is RFC 6455 §1.3's.
const websocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// tunnels reports whether the answer turns the stream into a tunnel.
func (s *stream) tunnels() bool {
	return s.x.Resp.Status == 101 || s.x.Req.Method == "CONNECT" && s.x.Resp.Status/100 == 2
}

var (
	errNotSwitched = errors.New("http2: a server took a request to switch protocols for another one")
	errAccept      = errors.New("http2: a server accepted another WebSocket than was asked for")
)

// switched checks the answer to an extended CONNECT, where 2xx means that the
// tunnel stands: a server's 2xx of another meaning must not arrive.
func (s *stream) switched() error {
	r := &s.x.Resp
	if !s.extended {
		return nil
	}
	var err error
	switch {
	case r.Status/100 == 2:
		err = errNotSwitched
	case r.Status == 101 && flow.EqualFold(s.x.Req.Upgrade, "websocket") && !bytes.Equal(r.Header.GetID(flow.FieldSecWebSocketAccept), s.accept[:]):
		err = errAccept
	default:
		return nil
	}
	c := s.c
	c.mu.Lock()
	if s.dead() == nil {
		s.sendHead(h2.FlagEndStream, func(_ *stream, b []byte) []byte { return h2.AppendStatus(b, 502) })
		s.localEnd()
		s.cut(h2.CodeNone)
		c.flush()
	}
	c.mu.Unlock()
	s.answerErr = err
	s.x.Record.Status = 502
	return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseHeaders, Status: 502, Cause: "invalid answer to an upgrade", Err: err}
}

// Tunnel makes the stream one of bytes.
func (s *stream) Tunnel(run func(flow.Stream, []byte)) {
	s.c.mu.Lock()
	s.readBy, s.writeBy = 0, 0
	s.tunnel = run
	s.c.mu.Unlock()
}

// runTunnel hands the stream over and ends the exchange when it is back.
func (s *stream) runTunnel() {
	_ = s.Flush()
	s.c.mu.Lock()
	in, out := s.received, s.sent
	s.c.mu.Unlock()
	s.tunnel((*duplex)(s), nil)
	_ = (*duplex)(s).Close()
	s.x.Record.BytesIn += in
	s.x.Record.BytesOut += out
}

// duplex is a stream as a tunnel's client side.
type duplex stream

func (d *duplex) Read(p []byte) (int, error) {
	n, err := (*body)(d).Read(p)
	return n, timedOut(err)
}

func (d *duplex) Write(p []byte) (int, error) {
	s := (*stream)(d)
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.localEnded {
		return 0, net.ErrClosed
	}
	n, err := s.sendData(p)
	if err == nil {
		s.c.flush()
	}
	return n, timedOut(err)
}

// timedOut has deadlines look as those of sockets do.
func timedOut(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// CloseWrite ends our side.
func (d *duplex) CloseWrite() error {
	s := (*stream)(d)
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if err := s.dead(); err != nil || s.localEnded {
		return err
	}
	s.endStream()
	s.c.flush()
	return nil
}

// Close ends the stream, cutting a side that has not ended.
func (d *duplex) Close() error {
	s := (*stream)(d)
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.dead() == nil && !s.gone {
		s.cut(h2.CodeCancel)
		s.c.flush()
	}
	return nil
}

func (d *duplex) SetReadDeadline(t time.Time) error {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	d.readBy = moment(t)
	d.cond.Broadcast()
	return nil
}

func (d *duplex) SetWriteDeadline(t time.Time) error {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	d.writeBy = moment(t)
	d.cond.Broadcast()
	return nil
}

// moment is flow.At, with 0 for never.
func moment(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(flow.At(t), 1)
}
