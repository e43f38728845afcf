package e2e

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// Patience bounds every wait for the program, so that a test fails instead of
// hanging. It is no measure of speed: a machine may be as busy as it likes.
const Patience = 30 * time.Second

// Client is a connection that sends exactly the bytes it is told to.
type Client struct {
	net.Conn
	R   *bufio.Reader
	t   testing.TB
	own bool // the test has set a deadline of its own
}

// Dial connects to a port on the loopback address.
func Dial(t testing.TB, port int) *Client {
	t.Helper()
	return DialFrom(t, "", port)
}

// DialFrom is Dial from one of the loopback's addresses, such as 127.0.0.9; "":
// the usual one.
func DialFrom(t testing.TB, source string, port int) *Client {
	t.Helper()
	var d net.Dialer
	if source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	c, err := d.Dial("tcp", rig.Addr(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(Patience))
	return &Client{Conn: c, R: bufio.NewReader(c), t: t}
}

// Send writes bytes. A proxy that has refused a request may already have closed,
// so a failure is not the test's. What it waits for then has Patience anew.
func (c *Client) Send(s string) {
	if !c.own {
		_ = c.Conn.SetDeadline(time.Now().Add(Patience))
	}
	_, _ = io.WriteString(c.Conn, s)
}

// SetDeadline sets a deadline that stays, instead of Patience.
func (c *Client) SetDeadline(t time.Time) error {
	c.own = true
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline is SetDeadline for reading.
func (c *Client) SetReadDeadline(t time.Time) error {
	c.own = true
	return c.Conn.SetReadDeadline(t)
}

// CloseWrite ends the sending half.
func (c *Client) CloseWrite() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

// Close ends the connection.
func (c *Client) Close() { _ = c.Conn.Close() }

// Answer is what came back.
type Answer struct {
	Status   int // 0: nothing that is an answer
	Proto    string
	Header   http.Header
	Trailer  http.Header
	Body     string
	Complete bool  // the body ended as its framing says
	Length   int64 // announced; -1 unknown
	Chunked  bool
	Close    bool // it said that the connection ends
	Err      error
}

// Answer reads one answer to a request of the given method. Interim ones come
// as answers, too.
func (c *Client) Answer(method string) Answer {
	c.t.Helper()
	res, err := http.ReadResponse(c.R, &http.Request{Method: method})
	if err != nil {
		return Answer{Err: err}
	}
	a := Answer{
		Status: res.StatusCode, Proto: res.Proto, Header: res.Header, Length: res.ContentLength,
		Close: res.Close, Chunked: len(res.TransferEncoding) > 0,
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return a // its body is the tunnel
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	a.Body, a.Complete, a.Err, a.Trailer = string(body), err == nil, err, res.Trailer
	return a
}

// Closed tells whether the other side ends the connection without sending more.
// A reset is an end, too.
func (c *Client) Closed() bool {
	_, err := c.R.ReadByte()
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}
