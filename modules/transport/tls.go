package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	"github.com/loadstar-lb/loadstar/listener/wire/starttls"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// counted is the socket beneath TLS. It counts what is written, handshake and all:
// what the kernel says was acknowledged counts the same bytes.
type counted struct {
	net.Conn
	n atomic.Int64
}

func (w *counted) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// CloseWrite ends the sending side of the socket.
func (w *counted) CloseWrite() error {
	if c, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return w.Conn.Close()
}

// serverName gives the name to ask a server for, where that is the exchange's to
// say; else "".
func serverName(x *flow.Exchange, s *upstream.Server) string {
	if s.TLS == nil || s.TLS.Name == nil {
		return ""
	}
	x.Scratch = s.TLS.Name.Append(x.Scratch[:0], x)
	return string(x.Scratch)
}

// dialFor connects, tells the server of the caller, and does the handshake if there
// is to be one, within the connect timeout. protocols are offered (ALPN, RFC 7301)
// instead of HTTP/1.1, unless there are none.
func dialFor(s *upstream.Server, who *caller, protocols []string) (net.Conn, *flow.Error) {
	began := time.Now()
	c, fault := connect(s, who)
	if fault == nil && asks(s, who) {
		fault = agree(c, s, began.Add(s.Timeouts.Connect))
		who.ahead += len(starttls.PostgresRequest)
	}
	if fault != nil {
		return nil, fault
	}
	if s.TLS == nil {
		return c, nil
	}
	cfg := s.TLS.Config
	if who.sni != "" && who.sni != cfg.ServerName {
		cfg = cfg.Clone()
		cfg.ServerName = who.sni
	}
	if protocols != nil {
		cfg = cfg.Clone()
		cfg.NextProtos = protocols
	}
	if d := s.Timeouts.Connect; d > 0 {
		_ = c.SetDeadline(began.Add(d))
	}
	w := &counted{Conn: c}
	w.n.Store(int64(who.ahead))
	t := tls.Client(w, cfg)
	if err := t.HandshakeContext(context.Background()); err != nil {
		_ = c.Close()
		return nil, &flow.Error{
			Side: flow.SideServer, Phase: flow.PhaseConnect,
			Timeout: errors.Is(err, os.ErrDeadlineExceeded), Cause: "TLS handshake failed", Err: err,
		}
	}
	_ = c.SetDeadline(time.Time{})
	return t, nil
}

// protocolsOf are those to offer to a server that may speak HTTP/2.
func protocolsOf(s *upstream.Server) []string {
	if s.Protocol == upstream.Auto {
		return []string{"h2", "http/1.1"}
	}
	return []string{"h2"}
}

// agreed is the protocol that the server has chosen, "" if none.
func agreed(c net.Conn) string {
	if t, ok := c.(*tls.Conn); ok {
		return t.ConnectionState().NegotiatedProtocol
	}
	return ""
}

// secured readies a connection that speaks TLS: whether it is quiet is asked of
// the socket beneath, everything else goes through TLS.
func (c *conn) secured() {
	t, ok := c.Conn.(*tls.Conn)
	if !ok {
		return
	}
	if w, ok := t.NetConn().(*counted); ok {
		c.under, c.raw, c.written = w, sock.Raw(w.Conn), w.n.Load()
	}
}

// wrote notes n more bytes written; with TLS, what became of them.
func (c *conn) wrote(n int) {
	if c.under != nil {
		c.written = c.under.n.Load()
		return
	}
	c.written += int64(n)
}

// oneRecord is up to what size a body is copied behind the head, to leave in the
// same record (RFC 8446 §5.1: at most 16 KiB).
const oneRecord = 12 << 10

// awaitTLS is await by blocking reads and writes.
func (c *conn) awaitTLS() error {
	if !c.sent {
		c.sent = true
		if len(c.view) <= oneRecord {
			c.out = append(c.out, c.view...)
			c.view = nil
		}
		for _, p := range [2][]byte{c.out, c.view} {
			if err := c.unheard(c.writeAll(p)); err != nil {
				return err
			}
		}
	}
	for {
		if c.w == len(c.buf) && !c.grow() {
			return wire.ErrHeadTooLarge
		}
		n, err := c.Read(c.buf[c.w:])
		if n == 0 {
			if err == io.EOF {
				err = errClosed
			}
			return err
		}
		if err != nil { // a goodbye came with the last bytes
			c.short = true
		}
		c.w += n
		end, next, err := wire.HeadEnd(c.buf[c.r:c.w], min(c.scanned, c.w-c.r))
		if err != nil || end > 0 {
			c.scanned = end
			return err
		}
		if c.scanned = next; next > headLimit {
			return wire.ErrHeadTooLarge
		}
	}
}
