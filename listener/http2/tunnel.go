package http2

import (
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// switched checks the answer to an extended CONNECT; one that is not what was
// asked for becomes a 502.
func (s *stream) switched() error {
	fault := s.head.Switched(&s.x)
	if fault == nil {
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
	s.answerErr = fault.Err
	s.x.Record.Status = 502
	return fault
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
	return n, multi.TimedOut(err)
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
	return n, multi.TimedOut(err)
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
