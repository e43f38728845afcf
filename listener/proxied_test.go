package listener

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/wire/proxyproto"
)

// loopback is the set of senders of the tests.
type loopback struct{}

func (loopback) Contains(a netip.Addr) bool { return a.IsLoopback() }

type nobody struct{}

func (nobody) Contains(netip.Addr) bool { return false }

// lines keeps what is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tellClient answers each line with the client's address and the line.
func tellClient(c *flow.Conn) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, c.Client.String()+" "+c.Local.String()+" "+line)
	}
}

// proxied starts a socket with a binding.
func proxied(t *testing.T, from *flow.ProxyFrom) (addr string, log *lines) {
	t.Helper()
	log = &lines{}
	h := NewHost(serve(tellClient), slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(h.Close)
	s, err := h.Bind(anyPort())
	if err != nil {
		t.Fatal(err)
	}
	b := binding(1)
	b.Proxy = from
	s.Rebind(b, 0)
	s.Start()
	t.Cleanup(s.Retire)
	return s.Addr().String(), log
}

func dialTo(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c.(*net.TCPConn)
}

const told = "PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n"

func TestProxied(t *testing.T) {
	second := string(proxyproto.Form{Version: 2, UniqueID: true, CRC32C: true}.Append(nil,
		&flow.Conn{Client: netip.MustParseAddrPort("192.0.2.1:1111"), Local: netip.MustParseAddrPort("192.0.2.2:2222")}))
	for name, header := range map[string]string{"v1": told, "v2": second} {
		addr, _ := proxied(t, &flow.ProxyFrom{Nets: loopback{}})
		for _, cut := range []int{0, 1, 5, 13, len(header) - 1, len(header), len(header) + 2} {
			c := dialTo(t, addr)
			all := header + "hello\n"
			_, _ = io.WriteString(c, all[:cut])
			time.Sleep(time.Millisecond) // a segment of its own, most of the time
			_, _ = io.WriteString(c, all[cut:])
			got, err := bufio.NewReader(c).ReadString('\n')
			if got != "192.0.2.1:1111 192.0.2.2:2222 hello\n" {
				t.Errorf("%s cut at %d: %q, %v", name, cut, got, err)
			}
			_ = c.Close()
		}
	}
}

func TestProxiedLocal(t *testing.T) {
	addr, _ := proxied(t, &flow.ProxyFrom{Nets: loopback{}})
	c := dialTo(t, addr)
	_, _ = io.WriteString(c, "PROXY UNKNOWN\r\nhello\n")
	got, _ := bufio.NewReader(c).ReadString('\n')
	if want := c.LocalAddr().String() + " " + addr + " hello\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whoever is not named is no sender: a header of his is the stream's.
func TestProxiedStranger(t *testing.T) {
	addr, _ := proxied(t, &flow.ProxyFrom{Nets: nobody{}})
	c := dialTo(t, addr)
	_, _ = io.WriteString(c, told)
	got, _ := bufio.NewReader(c).ReadString('\n')
	if want := c.LocalAddr().String() + " " + addr + " " + told; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestProxiedRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"HTTP":      "GET / HTTP/1.1\r\n\r\n",
		"hello":     "\x16\x03\x01\x00\x05",
		"malformed": "PROXY TCP4 1.2.3.4\r\n",
		"endless":   "PROXY TCP4 " + strings.Repeat("1", 200),
		"half":      "PROXY TCP4 192.0.2.1",
		"silence":   "",
	} {
		t.Run(name, func(t *testing.T) {
			from := &flow.ProxyFrom{Nets: loopback{}, Timeout: 30 * time.Second}
			if name == "silence" {
				from.Timeout = 50 * time.Millisecond
			}
			addr, log := proxied(t, from)
			c := dialTo(t, addr)
			_, _ = io.WriteString(c, in)
			if name == "half" {
				_ = c.CloseWrite()
			}
			var one [1]byte
			if n, err := c.Read(one[:]); n != 0 || err == nil {
				t.Errorf("it answers %q", one[:n])
			}
			for end := time.Now().Add(30 * time.Second); !strings.Contains(log.String(), "refused") && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if n := strings.Count(log.String(), "PROXY header refused"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, log)
			}
		})
	}
}

// The header comes before TLS, whose hello may come in the same segment.
func TestProxiedTLS(t *testing.T) {
	log := &lines{}
	h := NewHost(serve(tellClient), slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(h.Close)
	s, err := h.Bind(anyPort())
	if err != nil {
		t.Fatal(err)
	}
	b := binding(1)
	b.Proxy, b.TLS = &flow.ProxyFrom{Nets: loopback{}}, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
	s.Rebind(b, 0)
	s.Start()
	t.Cleanup(s.Retire)
	c := dialTo(t, s.Addr().String())
	var sent firstWrite
	sent.Conn, sent.ahead = c, told
	secure := tls.Client(&sent, &tls.Config{InsecureSkipVerify: true})
	_, _ = io.WriteString(secure, "hello\n")
	got, err := bufio.NewReader(secure).ReadString('\n')
	if got != "192.0.2.1:1111 192.0.2.2:2222 hello\n" {
		t.Errorf("%q, %v\n%s", got, err, log)
	}
}

// firstWrite puts something in front of what is written first.
type firstWrite struct {
	net.Conn
	ahead string
}

func (f *firstWrite) Write(p []byte) (int, error) {
	ahead := f.ahead
	f.ahead = ""
	n, err := f.Conn.Write(append([]byte(ahead), p...))
	return max(0, n-len(ahead)), err
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Who asks who is connected is told the client, and the peer beside it, while the
// connection's own goroutine reads the header.
func TestProxiedInspected(t *testing.T) {
	h := NewHost(serve(tellClient), slog.New(slog.DiscardHandler))
	t.Cleanup(h.Close)
	s, err := h.Bind(anyPort())
	if err != nil {
		t.Fatal(err)
	}
	b := binding(1)
	b.Proxy = &flow.ProxyFrom{Nets: loopback{}}
	s.Rebind(b, 0)
	s.Start()
	t.Cleanup(s.Retire)
	c := dialTo(t, s.Addr().String())
	one := func() ConnInfo {
		all := s.connections()
		for len(all) == 0 { // not accepted yet
			time.Sleep(time.Millisecond)
			all = s.connections()
		}
		return all[0]
	}
	peer, local := c.LocalAddr().String(), c.RemoteAddr().String()
	if got := one(); got.Client.String() != peer || got.Peer.String() != peer || got.Local.String() != local {
		t.Errorf("before the header: %+v", got)
	}
	_, _ = io.WriteString(c, told+"hello\n")
	for end := time.Now().Add(30 * time.Second); one().Client.String() == peer && time.Now().Before(end); { // under -race that is the test
		time.Sleep(time.Millisecond)
	}
	if got := one(); got.Client.String() != "192.0.2.1:1111" || got.Peer.String() != peer || got.Local.String() != local {
		t.Errorf("behind the header: %+v", got)
	}
}
