package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"
)

// maxAnswer bounds what is read of a server in one probe, in bytes: HAProxy
// stops at its buffer (16 KiB); bodies with a match far down get some more.
const maxAnswer = 64 << 10

// session is one connection to a server that is probed. Time is bounded by the
// context, what can be read by maxAnswer.
type session struct {
	net.Conn
	in   *bufio.Reader
	stop func() bool
	left bool // a goodbye was said: it must not be lost
}

// open connects. The deadline bounds the session; cancelling the context, at a
// reload or the end, cuts it.
func open(ctx context.Context, t *Target) (*session, error) {
	c, err := dial(ctx, t)
	if err != nil {
		return nil, err
	}
	s := &session{Conn: c, stop: context.AfterFunc(ctx, func() { _ = c.Close() })}
	s.in = bufio.NewReaderSize(io.LimitReader(c, maxAnswer), 512)
	return s, nil
}

// secure does a TLS handshake on the connection.
func (s *session) secure(ctx context.Context, cfg *tls.Config) (*tls.Conn, error) {
	c := tls.Client(s.Conn, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	s.Conn = c
	s.in.Reset(io.LimitReader(c, maxAnswer))
	return c, nil
}

// Close ends the session with a reset, unless a goodbye was said: no state stays
// behind on either side, and nothing that the server still sends is waited for.
func (s *session) Close() error {
	s.stop()
	c := s.Conn
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if tc, ok := c.(*net.TCPConn); ok && !s.left {
		_ = tc.SetLinger(0)
	}
	return c.Close()
}

// goodbye writes the last words of a protocol.
func (s *session) goodbye(text string) { s.left = s.say(text) == nil }

// say writes a text.
func (s *session) say(text string) error {
	_, err := io.WriteString(s.Conn, text)
	return err
}

// maxLine bounds a line of an answer, in bytes.
const maxLine = 1024

// line reads up to the next line feed and gives what stands before it. A line
// that does not end within maxLine bytes is given as far as that.
func (s *session) line() (string, error) {
	var b [maxLine]byte
	for n := range b {
		c, err := s.in.ReadByte()
		if err == io.EOF && n > 0 {
			return string(b[:n]), nil
		}
		if err != nil {
			return "", ended(err)
		}
		if c == '\n' {
			if n > 0 && b[n-1] == '\r' {
				n--
			}
			return string(b[:n]), nil
		}
		b[n] = c
	}
	return string(b[:]), nil
}

// bytes reads exactly n bytes, maxAnswer at most.
func (s *session) bytes(n int) ([]byte, error) {
	b := make([]byte, min(n, maxAnswer))
	_, err := io.ReadFull(s.in, b)
	return b, ended(err)
}

// ended names the end of a connection in the middle of an answer.
func ended(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// dial connects within the target's time, and bounds everything that follows on
// the connection by the context's deadline.
func dial(ctx context.Context, t *Target) (net.Conn, error) {
	d := net.Dialer{Timeout: t.Connect, KeepAlive: -1}
	if t.Source.IsValid() && t.Network == "tcp" {
		d.LocalAddr = &net.TCPAddr{IP: t.Source.AsSlice(), Zone: t.Source.Zone()}
	}
	c, err := d.DialContext(ctx, t.Network, t.Address)
	if err != nil {
		return nil, err
	}
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(time.Minute)
	}
	if t.Answer > 0 {
		if own := time.Now().Add(t.Answer); own.Before(end) {
			end = own
		}
	}
	_ = c.SetDeadline(end)
	if len(t.Ahead) > 0 {
		if _, err := c.Write(t.Ahead); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}
