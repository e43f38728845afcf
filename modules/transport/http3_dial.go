package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// A server that says nothing for silence is given up; it is asked for a sign of
// life in half that time, while a connection is idle, too. There is no other end of a
// connection over UDP whose server is gone without a word, and it keeps open what
// stands between (RFC 9308 §3.2: half a minute is usual there).
const (
	silence   = 10 * time.Second
	quicShake = 10 * time.Second // of a handshake, where there is no timeout
)

// quicConfig is what connections to servers are made with. The window of a
// connection has room for those of all streams, so that a slow client holds its own
// stream back and no other one.
func quicConfig(connect time.Duration) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout: connect, MaxIdleTimeout: silence, KeepAlivePeriod: silence / 2,
		InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: streamWindow,
		InitialConnectionReceiveWindow: maxStreams * streamWindow, MaxConnectionReceiveWindow: maxStreams * streamWindow,
		EnableStreamResetPartialDelivery: true,                         // what came of an answer before its end is relayed
		MaxIncomingStreams:               -1, MaxIncomingUniStreams: 8, // three are HTTP/3's, others are refused
	}
}

// dialQUIC connects and agrees on HTTP/3 within the connect timeout.
func (i *Idle) dialQUIC(s *upstream.Server, who *caller) (*line, *flow.Error) {
	connect := s.Timeouts.Connect
	if connect <= 0 {
		connect = quicShake
	}
	ctx, cancel := context.WithTimeout(context.Background(), connect)
	defer cancel()
	var d net.Dialer
	if s.Source.IsValid() {
		d.LocalAddr = &net.UDPAddr{IP: s.Source.AsSlice()}
	}
	nc, err := d.DialContext(ctx, "udp", s.Dial)
	if err != nil {
		return nil, refusal(s, who, err)
	}
	pc, ok := nc.(*net.UDPConn)
	if !ok {
		_ = nc.Close()
		return nil, refusal(s, who, errors.ErrUnsupported)
	}
	tr := &quic.Transport{Conn: &connected{pc}}
	closed := func() {
		_ = tr.Close()
		_ = pc.Close()
	}
	q, err := tr.Dial(ctx, pc.RemoteAddr(), quicTLS(s, who), quicConfig(connect))
	if err != nil {
		closed()
		return nil, shakeFault(s, who, err)
	}
	context.AfterFunc(q.Context(), closed)
	c := newLine(q, s, &i.quic)
	c.label = who.label
	if err := c.greet(); err != nil {
		return nil, shakeFault(s, who, err)
	}
	return c, nil
}

// quicTLS gives the server's settings as QUIC needs them (RFC 9001 §4.2).
func quicTLS(s *upstream.Server, who *caller) *tls.Config {
	cfg := s.TLS.Config.Clone()
	cfg.NextProtos, cfg.MinVersion = []string{"h3"}, tls.VersionTLS13
	if who.sni != "" {
		cfg.ServerName = who.sni
	}
	return cfg
}

// alertNoProtocol is TLS's alert of a server that speaks none of what it was offered
// (RFC 7301 §3.2), as QUIC has it (RFC 9001 §4.8).
const alertNoProtocol = 0x100 + 120

// shakeFault says why there is no connection.
func shakeFault(s *upstream.Server, who *caller, err error) *flow.Error {
	var alert *quic.TransportError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = os.ErrDeadlineExceeded
	case !errors.As(err, &alert):
	case alert.ErrorCode == alertNoProtocol:
		return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseConnect, Cause: "server does not speak HTTP/3", Err: err}
	case alert.ErrorCode.IsCryptoError():
		return &flow.Error{Side: flow.SideServer, Phase: flow.PhaseConnect, Cause: "TLS handshake failed", Err: err}
	}
	return refusal(s, who, err)
}

// connected is a UDP socket that is connected: its kernel then tells at once that
// nobody listens at the other end (ICMP), as it does of TCP.
type connected struct{ *net.UDPConn }

// WriteTo sends to the one peer that there is.
func (c *connected) WriteTo(p []byte, _ net.Addr) (int, error) { return c.Write(p) }

// WriteMsgUDP sends to the one peer that there is.
func (c *connected) WriteMsgUDP(p, oob []byte, _ *net.UDPAddr) (n, oobn int, err error) {
	return c.UDPConn.WriteMsgUDP(p, oob, nil)
}
