package http3

import (
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/multi"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// switched checks the answer to an extended CONNECT (RFC 9220); one that is not
// what was asked for becomes a 502.
func (s *stream) switched() error {
	fault := s.head.Switched(&s.x)
	if fault == nil {
		return nil
	}
	if s.dead() == nil {
		at := s.beginHead()
		s.out = wire.AppendStatus(s.out, 502)
		s.endHead(at)
		if s.Flush() == nil {
			s.unwatch()
			s.ended = true
			_ = s.q.Close()
			s.refuse(codeNone)
		}
	}
	s.answerErr = fault.Err
	s.x.Record.Status = 502
	return fault
}

// Tunnel makes the stream one of bytes.
func (s *stream) Tunnel(run func(flow.Stream, []byte)) {
	s.readBy.Store(0)
	s.writeBy.Store(0)
	s.tunnel = run
}

// runTunnel hands the stream over and ends the exchange when it is back.
func (s *stream) runTunnel() {
	_ = s.Flush()
	in, out := s.received.Load(), s.sent
	s.mark.set = false
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

// Write sends a DATA frame for each piece of at most 32 KiB.
func (d *duplex) Write(p []byte) (n int, err error) {
	s := (*stream)(d)
	if s.ended {
		return 0, net.ErrClosed
	}
	for n < len(p) {
		part := p[n:min(len(p), n+largeBuffer)]
		s.out = wire.AppendFrame(s.out[:0], wire.FrameData, uint64(len(part)))
		s.out = append(s.out, part...)
		if err := s.send(s.out); err != nil {
			s.out = s.out[:0]
			return n, multi.TimedOut(err)
		}
		n += len(part)
	}
	s.out = s.out[:0]
	return n, nil
}

// CloseWrite ends our side.
func (d *duplex) CloseWrite() error {
	s := (*stream)(d)
	if s.ended {
		return nil
	}
	if err := s.dead(); err != nil {
		return err
	}
	s.ended = true
	return s.q.Close()
}

// Close ends the stream, cutting a side that has not ended.
func (d *duplex) Close() error {
	s := (*stream)(d)
	if !s.ended {
		s.cut(wire.CodeConnect)
	} else {
		s.refuse(codeNone)
	}
	return nil
}

func (d *duplex) SetReadDeadline(t time.Time) error { return d.q.SetReadDeadline(t) }

func (d *duplex) SetWriteDeadline(t time.Time) error { return d.q.SetWriteDeadline(t) }
