package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Server makes QUIC endpoints of UDP sockets and serves their connections; it is
// a flow.PacketServer. What it serves them with is the connection's binding.
type Server struct{}

// Endpoint is a UDP socket whose QUIC connections are served.
type Endpoint struct {
	tr      *quic.Transport
	pc      *socket
	shaking atomic.Int64 // handshakes in progress
}

// shakingLimit is how many handshakes may be in progress before clients first
// have to prove that their address is theirs (RFC 9000 §8.1.2). One that stays half
// open takes 62 KiB until its handshake's timeout; see TestMemoryOfHalfOpen.
const shakingLimit = 64

// Endpoint takes a socket over. The secret derives stateless resets (RFC 9000
// §10.3) and address tokens (§8.1.3); one that is kept over a restart lets
// clients notice at once that their connections are gone.
func (Server) Endpoint(pc *net.UDPConn, secret *[64]byte) flow.PacketEndpoint {
	e := &Endpoint{pc: newSocket(pc)}
	reset, token := quic.StatelessResetKey(secret[:32]), quic.TokenGeneratorKey(secret[32:])
	e.tr = &quic.Transport{
		Conn: e.pc, ConnectionIDGenerator: ids(e.pc.own.tag), StatelessResetKey: &reset, TokenGeneratorKey: &token,
		VerifySourceAddress: func(net.Addr) bool { return e.shaking.Load() >= shakingLimit },
		ConnContext:         e.begin,
	}
	return e
}

// Listen gives the connections to come, served by what source holds. There may be
// one listener at a time; closing it leaves connections alone.
func (e *Endpoint) Listen(source *flow.Source) (net.Listener, error) {
	conf := &tls.Config{
		NextProtos: []string{"h3"}, MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			b := source.Load()
			if b.TLS == nil || b.TLS.GetConfigForClient == nil {
				return nil, errNoTLS
			}
			return b.TLS.GetConfigForClient(h)
		},
	}
	l, err := e.tr.ListenEarly(conf, &quic.Config{
		GetConfigForClient: func(*quic.ClientInfo) (*quic.Config, error) { return config(source.Load()), nil },
	})
	if err != nil {
		return nil, err
	}
	return &acceptor{l: l, e: e}, nil
}

var errNoTLS = errors.New("http3: nothing to terminate TLS with")

// Limits of a connection beside those of its binding.
const (
	maxStreams    = 100       // being served, those that the client has reset among them
	maxUniStreams = 8         // three are HTTP/3's, others are refused
	streamWindow  = 64 << 10  // bytes of a request that wait, to begin with
	streamMost    = 256 << 10 // and for who is far away
	connWindow    = 256 << 10 // the same of all streams together
	connMost      = 512 << 10
	shakeDefault  = 5 * time.Second
)

// config gives what a connection that begins now is to be held under.
func config(b *flow.Binding) *quic.Config {
	shake := b.Limits.Handshake
	if shake <= 0 {
		shake = shakeDefault
	}
	return &quic.Config{
		Versions:             []quic.Version{quic.Version1, quic.Version2},
		HandshakeIdleTimeout: shake,
		// Of silence on the wire; how long a connection may be without an
		// exchange is conn's to say.
		MaxIdleTimeout:             max(b.Limits.Idle+10*time.Second, 30*time.Second),
		InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: streamMost,
		InitialConnectionReceiveWindow: connWindow, MaxConnectionReceiveWindow: connMost,
		MaxIncomingStreams: maxStreams, MaxIncomingUniStreams: maxUniStreams,
		// A stream that the client has cut goes on counting until nobody serves
		// it any more (rapid reset).
		RequireStreamCreditRelease: true,
		// What was sent of an answer before it was cut arrives, where clients know of
		// that (draft-ietf-quic-reliable-stream-reset).
		EnableStreamResetPartialDelivery: true,
		Allow0RTT:                        b.Packets != nil && b.Packets.EarlyData,
	}
}

// begin is called with each connection attempt that may go on.
func (e *Endpoint) begin(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	a := &attempt{e: e}
	e.shaking.Add(1)
	context.AfterFunc(ctx, a.settle)
	return context.WithValue(flow.WithTLS(ctx, &flow.TLS{}), attemptKey{}, a), nil
}

// attempt is a handshake in progress.
type attempt struct {
	e    *Endpoint
	over atomic.Bool
}

type attemptKey struct{}

func (a *attempt) settle() {
	if !a.over.Swap(true) {
		a.e.shaking.Add(-1)
	}
}

// Close closes the socket. Connections that are still open end with it.
func (e *Endpoint) Close() error {
	err := e.tr.Close()
	if cerr := e.pc.end(); err == nil {
		err = cerr
	}
	return err
}

// acceptor is a listener of QUIC connections as net has it.
type acceptor struct {
	l *quic.EarlyListener
	e *Endpoint
}

// Accept gives the next connection. Its handshake may not be complete yet.
func (a *acceptor) Accept() (net.Conn, error) {
	q, err := a.l.Accept(context.Background())
	if err != nil {
		return nil, err
	}
	return &Conn{q: q}, nil
}

// Close stops taking connections; those that wait to be accepted still are.
func (a *acceptor) Close() error { return a.l.Close() }

// Addr gives the socket's address.
func (a *acceptor) Addr() net.Addr { return a.e.pc.LocalAddr() }

// Conn is a QUIC connection as a net.Conn, though its bytes are those of its
// streams only.
type Conn struct {
	q       *quic.Conn
	refused error
}

var errStreams = errors.New("http3: a QUIC connection is read and written by its streams")

// Read fails.
func (c *Conn) Read([]byte) (int, error) { return 0, errStreams }

// Write fails.
func (c *Conn) Write([]byte) (int, error) { return 0, errStreams }

// Close ends the connection.
func (c *Conn) Close() error { return c.q.CloseWithError(quic.ApplicationErrorCode(codeNone), "") }

// LocalAddr gives our end.
func (c *Conn) LocalAddr() net.Addr { return c.q.LocalAddr() }

// RemoteAddr gives where the client is now: it may move.
func (c *Conn) RemoteAddr() net.Addr { return c.q.RemoteAddr() }

// SetDeadline does nothing: streams have deadlines.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// Refused tells why a handshake did not succeed, nil if it did. It is good once
// ServeConn has returned.
func (c *Conn) Refused() error { return c.refused }
