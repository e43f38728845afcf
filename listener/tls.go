package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// secure has an accepted connection speak TLS, if its socket does. Nothing is
// read or written yet: that is the handshake's.
func (c *conn) secure(b *flow.Binding) {
	if b.TLS != nil {
		c.Conn.Conn = tls.Server(beneath(c.Conn.Conn), b.TLS)
	}
}

// shake does the handshake and hands the connection to a goroutine of its own:
// a handshake needs a deep stack, which an idle connection would keep.
func (c *conn) shake(t *tls.Conn) {
	good := false
	defer func() {
		if !good {
			c.close(recover())
		}
	}()
	if !c.Busy() { // a drain was faster
		return
	}
	timeout := c.socket.source.Load().Limits.Handshake
	if timeout <= 0 {
		timeout = DefaultHandshake
	}
	_ = t.SetDeadline(c.Accepted.Add(timeout))
	facts := &flow.TLS{}
	// The deadline bounds it; a context that could be cancelled would cost a
	// goroutine.
	if err := t.HandshakeContext(flow.WithTLS(context.Background(), facts)); err != nil {
		c.refused(t, err)
		return
	}
	_ = t.SetDeadline(time.Time{})
	state := t.ConnectionState()
	facts.ALPN, facts.Version, facts.Cipher, facts.Resumed = state.NegotiatedProtocol, state.Version, state.CipherSuite, state.DidResume
	if len(state.PeerCertificates) > 0 {
		facts.Client = flow.ClientFacts(state.PeerCertificates[0])
	}
	c.TLS = facts
	c.Idle()
	good = true
	go c.attend()
}

// refused says why a handshake failed; who speaks plain HTTP gets an answer
// in it.
func (c *conn) refused(t *tls.Conn, err error) {
	var header tls.RecordHeaderError
	if errors.As(err, &header) && header.Conn != nil && plainHTTP(header.RecordHeader) {
		c.refuse("plain HTTP on a TLS port", "client", c.Client.String())
		c.explain(t.NetConn())
		return
	}
	if errors.Is(err, io.EOF) { // a look at the port, or a client that changed its mind
		c.socket.host.Log.Debug("client left before the TLS handshake", "socket", c.socket.Key.String(), "client", c.Client.String())
		return
	}
	c.refuse("TLS handshake failed", "client", c.Client.String(), "error", err)
}

// plainHTTP tells whether the first bytes are the start of an HTTP/1 request: a
// method (upper case by custom) and a blank, as far as five bytes show it. An
// HTTP/2 preface looks the same.
func plainHTTP(b [5]byte) bool {
	for i, ch := range b {
		if ch == ' ' && i >= 3 {
			return true
		}
		if ch < 'A' || ch > 'Z' {
			return false
		}
	}
	return true
}

const plainAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 53\r\nConnection: close\r\n\r\n" +
	"This port speaks TLS: write https:// instead of http\n"

// explain answers a plain request, and reads on for a moment: closing with
// unread bytes would reset the connection before the answer is read.
func (c *conn) explain(nc net.Conn) {
	_ = nc.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(nc, plainAnswer); err != nil {
		return
	}
	drainBriefly(nc)
}

// drainBriefly says that nothing more comes and reads on until the other end has
// closed, or some 64 KiB came, or the deadline has passed.
func drainBriefly(nc net.Conn) {
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	var buf [1 << 10]byte
	for left := 64; left > 0; left-- {
		if _, err := nc.Read(buf[:]); err != nil {
			return
		}
	}
}
