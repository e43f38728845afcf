package transport

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var testCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)},
		&x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func tlsOf(protocols ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{testCertificate()}, NextProtos: protocols, MinVersion: tls.VersionTLS13}
}

// peer3 is one HTTP/3 connection to a fake server, which sends what it is told.
type peer3 struct {
	*quic.Conn
	control *quic.SendStream
	t       testing.TB
}

// call3 is a request as the fake server got it, whole.
type call3 struct {
	*quic.Stream
	fields, trailer map[string]string
	body            string
}

// server3 is a fake HTTP/3 server; each connection follows a script, and is closed
// after it.
type server3 struct {
	pc   *net.UDPConn
	tr   *quic.Transport
	addr string
}

// extendedConnect is a server's settings.
var extendedConnect = []byte{wire.SettingExtended, 1}

func newServer3(t testing.TB, conf *quic.Config, script func(p *peer3, n int)) *server3 {
	t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &server3{pc: pc, tr: &quic.Transport{Conn: pc}, addr: pc.LocalAddr().String()}
	l, err := s.tr.Listen(tlsOf("h3"), conf)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			q, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			wg.Go(func() {
				defer q.CloseWithError(0x100, "")
				control, err := q.OpenUniStream()
				if err != nil {
					return
				}
				b := append(wire.AppendFrame([]byte{wire.StreamControl}, wire.FrameSettings, uint64(len(extendedConnect))), extendedConnect...)
				_, _ = control.Write(b)
				script(&peer3{Conn: q, control: control, t: t}, n)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		_ = s.tr.Close()
		_ = pc.Close()
		wg.Wait()
	})
	return s
}

// head reads the next request's head, passing over those that are cut before it; nil
// at the connection's end.
func (p *peer3) head() *call3 {
	for {
		q, err := p.AcceptStream(context.Background())
		if err != nil {
			return nil
		}
		c := &call3{Stream: q}
		if _, c.fields = c.frame(p.t); c.fields != nil {
			return c
		}
	}
}

// request reads the next request; nil at the connection's end.
func (p *peer3) request() *call3 {
	c := p.head()
	if c == nil {
		return nil
	}
	for {
		data, fields := c.frame(p.t)
		switch {
		case fields != nil:
			c.trailer = fields
		case data == nil:
			return c
		default:
			c.body += string(data)
		}
	}
}

// frame reads a frame of DATA or of HEADERS; nothing at the stream's end.
func (c *call3) frame(t testing.TB) (data []byte, fields map[string]string) {
	var b []byte
	for {
		kind, size, n := wire.ParseFrame(b)
		if n > 0 {
			p := make([]byte, size)
			if _, err := io.ReadFull(c, p); err != nil {
				return nil, nil
			}
			if kind == wire.FrameHeaders {
				return nil, decoded(t, p)
			}
			return p, nil
		}
		var one [1]byte
		if _, err := io.ReadFull(c, one[:]); err != nil {
			return nil, nil
		}
		b = append(b, one[0])
	}
}

func decoded(t testing.TB, p []byte) map[string]string {
	var d wire.Decoder
	fields := map[string]string{}
	err := d.Begin(p)
	for err == nil && d.More() {
		var f []byte
		var n int
		if f, n, err = d.Next(nil); err == nil {
			fields[string(f[:n])] = string(f[n:])
		}
	}
	if err != nil {
		t.Errorf("head: %v", err)
	}
	return fields
}

// headers gives a HEADERS frame.
func headers(fields ...string) []byte {
	b := wire.AppendSection(wire.Reserve(nil, wire.FrameHeaders))
	for i := 0; i < len(fields); i += 2 {
		b = wire.AppendPseudo(b, fields[i], []byte(fields[i+1]))
	}
	return wire.Seal(b, 0)
}

func data(s string) []byte {
	return append(wire.AppendFrame(nil, wire.FrameData, uint64(len(s))), s...)
}

// says sends frames, and ends the stream.
func (c *call3) says(frames ...[]byte) {
	_, _ = c.Write(bytes.Join(frames, nil))
	_ = c.Stream.Close()
}

func (c *call3) answer(body string) { c.says(headers(":status", "200"), data(body)) }

// resets cuts the stream both ways.
func (c *call3) resets(e wire.Code) {
	c.CancelRead(quic.StreamErrorCode(e))
	c.CancelWrite(quic.StreamErrorCode(e))
}

// serves answers every request with the text.
func (p *peer3) serves(text string) {
	for c := p.request(); c != nil; c = p.request() {
		c.answer(text)
	}
}

// newGate3 stands before a server that speaks HTTP/3.
func newGate3(t testing.TB, addr string, timeouts upstream.Timeouts) *gate {
	t.Helper()
	return gateTo(t, &upstream.Server{
		Network: "tcp", Dial: addr, Timeouts: timeouts, Live: upstream.NewLive(), Protocol: upstream.H3,
		TLS: &upstream.TLS{Config: &tls.Config{InsecureSkipVerify: true, ServerName: "a.example"}, Key: "test"},
	})
}

var _ flow.Witness = (*strand)(nil)
