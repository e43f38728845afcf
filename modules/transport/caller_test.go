package transport

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/wire/proxyproto"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// told answers each request with the PROXY line that its connection began with,
// without destination, and the number of requests on it.
func told(c *net.TCPConn, br *bufio.Reader) {
	line, err := br.ReadString('\n')
	if err != nil {
		return
	}
	w := strings.Fields(line)
	for n := 1; ; n++ {
		if r, _ := reads(br); r == nil {
			return
		}
		body := fmt.Sprintf("%s:%s %d", w[2], w[4], n)
		says(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	}
}

// A connection that told of one client serves that client, and no other one.
func TestProxyHeaderOwnsItsConnection(t *testing.T) {
	o := newOrigin(t, told)
	p := newProxy(t, o, testTimeouts)
	p.server.Proxy = &proxyproto.Form{Version: 1}
	for range 3 {
		c := p.dial(t)
		for n := 1; n <= 3; n++ {
			c.send(get).want(200, fmt.Sprintf("%s %d", c.LocalAddr(), n))
		}
	}
	if n := o.accepted.Load(); n != 3 {
		t.Errorf("%d connections for 3 clients", n)
	}
}

// The connections of clients that have gone go, too.
func TestProxyHeaderOrphans(t *testing.T) {
	i := NewIdle(2)
	t.Cleanup(i.Close)
	made := func(id uint64) (*conn, *atomic.Bool) {
		ours, theirs := pair(t)
		t.Cleanup(func() { _ = theirs.Close() })
		c := open(ours, i, time.Hour)
		c.label, c.ended, c.idleSince = label{conn: id}, new(atomic.Bool), flow.Now()
		return c, c.ended
	}
	one, _ := made(1)
	two, _ := made(2)
	three, _ := made(3)
	if !i.put(one) || !i.put(two) {
		t.Fatal("a set with room takes none")
	}
	if i.take(label{}) != nil || i.take(label{conn: 3}) != nil || i.take(label{conn: 1, from: netip.MustParseAddr("::1")}) != nil {
		t.Error("taken by another label")
	}
	if !i.put(three) || i.take(label{conn: 1}) != nil || i.Len() != 2 {
		t.Error("the oldest of a full set did not give way")
	}
	if i.take(label{conn: 2}) != two || i.take(label{conn: 3}) != three {
		t.Error("not found again")
	}
	four, gone4 := made(4)
	if !i.put(four) {
		t.Fatal("not taken")
	}
	gone4.Store(true)
	if i.reap(); i.Len() != 0 {
		t.Error("an orphan is kept")
	}
	five, gone5 := made(5)
	if gone5.Store(true); i.put(five) {
		t.Error("an orphan is taken")
	}
}

// Before TLS comes the header.
func TestProxyHeaderBeforeTLS(t *testing.T) {
	line := make(chan string, 2) // nobody reads before both are there
	o := newOrigin(t, func(c *net.TCPConn, _ *bufio.Reader) {
		// To the byte: what follows is crypto/tls's.
		var text strings.Builder
		one := make([]byte, 1)
		for !strings.HasSuffix(text.String(), "\r\n") {
			if _, err := c.Read(one); err != nil {
				return
			}
			text.WriteByte(one[0])
		}
		line <- text.String()
		_ = tls.Server(c, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			line <- h.ServerName
			return nil, fmt.Errorf("enough was seen")
		}}).Handshake()
	})
	s := &upstream.Server{Network: "tcp", Dial: o.Addr().String(), Timeouts: testTimeouts,
		Proxy: &proxyproto.Form{Version: 1}, TLS: &upstream.TLS{Config: &tls.Config{ServerName: "server.example"}}}
	client := &flow.Conn{ID: 1, Client: netip.MustParseAddrPort("192.0.2.1:1111"), Local: netip.MustParseAddrPort("192.0.2.2:443")}
	if _, fault := DialStream(s, client); fault == nil || fault.Cause != "TLS handshake failed" {
		t.Errorf("%v", fault)
	}
	if got := <-line; got != "PROXY TCP4 192.0.2.1 192.0.2.2 1111 443\r\n" {
		t.Errorf("%q", got)
	}
	if got := <-line; got != "server.example" {
		t.Errorf("%q", got)
	}
}

// Clients and servers of two families cannot be joined by one address.
func TestAsClientFamily(t *testing.T) {
	s := &upstream.Server{Network: "tcp", Dial: "[::1]:1", Timeouts: testTimeouts, AsClient: true}
	client := &flow.Conn{ID: 1, Client: netip.MustParseAddrPort("192.0.2.1:1111"), Local: netip.MustParseAddrPort("192.0.2.2:443")}
	_, fault := DialStream(s, client)
	if fault == nil || fault.Cause != "connect as the client failed" || fault.Err != errFamily {
		t.Errorf("%v", fault)
	}
}
