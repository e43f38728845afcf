//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// Clients of the soak that speak TLS. Each keeps its connection over all reloads
// and, like the others, never repeats a request: what fails is lost.

// protocol is one way of speaking to the HTTPS site.
type protocol struct {
	name   string
	dial   func(port int) (session, error)
	tunnel func(port int) (*tunnel, error) // nil: none
}

// session is a connection on which requests follow one another.
type session interface {
	post(body string) error
	// over tells that the other side has said that it takes no more requests.
	over() bool
	close()
}

// protocols are those that a product speaks.
func (p *soakProduct) protocols() []*protocol {
	all := []*protocol{
		{name: "HTTPS", dial: dialHTTPS, tunnel: func(port int) (*tunnel, error) { return upgradeOn(dialSoakTLS(port, "http/1.1")) }},
		{name: "HTTP/2", dial: dialHTTP2},
	}
	if p.modern {
		all[1].tunnel = tunnelHTTP2
		all = append(all, &protocol{name: "HTTP/3", dial: dialHTTP3, tunnel: tunnelHTTP3})
	}
	return all
}

// keepPostingBy posts by a protocol until the load ends.
func (s *soak) keepPostingBy(l *soakLoad, p *protocol, index int) {
	var c session
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for n := 1; !l.stopped(); n++ {
		if c != nil && c.over() {
			c.close()
			c = nil
		}
		s.tally.done.Add(1)
		s.tally.by[index].Add(1)
		var err error
		if c == nil {
			c, err = p.dial(s.setup.TLS)
		}
		if err == nil {
			err = c.post(strings.Repeat("x", n%2000) + fmt.Sprint(n))
		}
		if err != nil && unprocessed(err) {
			s.tally.done.Add(-1)
			s.tally.by[index].Add(-1)
			c.close()
			c = nil
			continue
		}
		if err != nil {
			s.tally.fault(&s.tally.lost, p.name+": "+short(err))
			if c != nil {
				c.close()
				c = nil
			}
		}
		time.Sleep(pause)
	}
}

// unprocessed tells that the server has promised, by GOAWAY, not to have looked at
// the request (RFC 9113 §6.8): the client is to send it again, so it is not lost.
// The client's package keeps these errors to itself.
func unprocessed(err error) bool {
	text := err.Error()
	return strings.Contains(text, "graceful shutdown GOAWAY") || strings.Contains(text, "client conn not usable")
}

func soakTLS(protocols ...string) *tls.Config {
	cfg := clientTLS(nil)
	cfg.NextProtos = protocols
	return cfg
}

func dialSoakTLS(port int, alpn string) (*tls.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: soakTLS(alpn)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", rig.Addr(port))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	conn, ok := c.(*tls.Conn)
	if !ok || conn.ConnectionState().NegotiatedProtocol != alpn {
		_ = c.Close()
		return nil, fmt.Errorf("%w: not %s", errWrongAnswer, alpn)
	}
	return conn, nil
}

// https is HTTP/1.1 over TLS.
type https struct{ poster }

func dialHTTPS(port int) (session, error) {
	c, err := dialSoakTLS(port, "http/1.1")
	if err != nil {
		return nil, err
	}
	h := &https{}
	h.use(c)
	return h, nil
}

func (h *https) post(body string) error { return h.send(body, false) }
func (h *https) over() bool             { return h.conn == nil }

// multiplexed is a connection of HTTP/2 or HTTP/3.
type multiplexed struct {
	port int
	trip http.RoundTripper
	last func() bool
	end  func()
}

func (m *multiplexed) over() bool { return m.last() }
func (m *multiplexed) close()     { m.end() }

func (m *multiplexed) post(body string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+tlsName+"/echo", io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return err
	}
	r.ContentLength = int64(len(body))
	res, err := m.trip.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	return echoed(res, body)
}

// newHTTP2 speaks HTTP/2 on a connection. It is not http.Transport's way of doing
// so, since that repeats requests.
//
//nolint:staticcheck // it is deprecated in favour of http.Transport
func newHTTP2(conn *tls.Conn) (*http2.ClientConn, error) {
	cc, err := new(http2.Transport).NewClientConn(conn)
	if err != nil {
		_ = conn.Close()
	}
	return cc, err
}

func dialHTTP2(port int) (session, error) {
	conn, err := dialSoakTLS(port, "h2")
	if err != nil {
		return nil, err
	}
	cc, err := newHTTP2(conn)
	if err != nil {
		return nil, err
	}
	return &multiplexed{port: port, trip: cc, last: func() bool { return !cc.CanTakeNewRequest() }, end: func() { _ = cc.Close() }}, nil
}

func dialQUIC(port int) (*quic.Conn, *http3.ClientConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, rig.Addr(port), soakTLS(http3.NextProtoH3), &quic.Config{MaxIdleTimeout: time.Minute})
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	return conn, new(http3.Transport).NewClientConn(conn), nil
}

func dialHTTP3(port int) (session, error) {
	conn, cc, err := dialQUIC(port)
	if err != nil {
		return nil, err
	}
	return &multiplexed{
		port: port, trip: cc, last: func() bool { return conn.Context().Err() != nil }, end: func() { _ = conn.CloseWithError(0, "") },
	}, nil
}

var errNoTunnel = errors.New("the tunnel was refused")

// connectRequest asks for a WebSocket by extended CONNECT (RFC 8441 §5, RFC 9220).
func connectRequest(body io.ReadCloser) *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodConnect, "https://"+tlsName+"/ws", body)
	if err != nil {
		panic(err) // of constants
	}
	r.Header.Set("Sec-WebSocket-Version", "13")
	return r
}

// tunnelHTTP2 opens a WebSocket on a stream of HTTP/2.
func tunnelHTTP2(port int) (*tunnel, error) {
	conn, err := dialSoakTLS(port, "h2")
	if err != nil {
		return nil, err
	}
	cc, err := newHTTP2(conn)
	if err != nil {
		return nil, err
	}
	out, in := io.Pipe()
	r := connectRequest(out)
	r.Header.Set(":protocol", "websocket")
	res, err := cc.RoundTrip(r) //nolint:bodyclose // it is the tunnel, which ends with its connection
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: status %d", errNoTunnel, res.StatusCode)
	}
	if err != nil {
		_ = cc.Close()
		return nil, err
	}
	return newWebSocket(&streamConn{Reader: res.Body, Writer: in, deadline: conn.SetDeadline, end: cc.Close}), nil
}

// tunnelHTTP3 opens a WebSocket on a stream of HTTP/3.
func tunnelHTTP3(port int) (*tunnel, error) {
	conn, cc, err := dialQUIC(port)
	if err != nil {
		return nil, err
	}
	end := func() error { return conn.CloseWithError(0, "") }
	select {
	case <-cc.ReceivedSettings():
	case <-time.After(patience):
		_ = end()
		return nil, fmt.Errorf("%w: no SETTINGS", errNoTunnel)
	}
	stream, err := cc.OpenRequestStream(context.Background())
	if err == nil {
		r := connectRequest(nil)
		r.Proto = "websocket"
		err = stream.SendRequestHeader(r)
	}
	var res *http.Response
	if err == nil {
		res, err = stream.ReadResponse() //nolint:bodyclose // the stream is the body
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: status %d", errNoTunnel, res.StatusCode)
	}
	if err != nil {
		_ = end()
		return nil, err
	}
	return newWebSocket(&streamConn{Reader: stream, Writer: stream, deadline: stream.SetDeadline, end: end}), nil
}

// streamConn makes one stream of a connection look like a connection of its own.
type streamConn struct {
	io.Reader
	io.Writer
	deadline func(time.Time) error
	end      func() error
}

func (s *streamConn) SetDeadline(t time.Time) error { return s.deadline(t) }
func (s *streamConn) Close() error                  { return s.end() }
