package syslog

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/logging"
)

// The grammars, strictly: RFC 5424 §6 with the element of §7.3, RFC 3164 §4.1.
var (
	strict5424 = regexp.MustCompile(`^<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|[+-]\d\d:\d\d) [!-~]{1,255} [!-~]{1,48} \d{1,10} - \[meta sequenceId="([1-9]\d*)"\] ([ -~]*)$`)
	strict3164 = regexp.MustCompile(`^<(\d{1,3})>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 123]\d \d\d:\d\d:\d\d [!-~]+ [!-Z^-~]{1,32}\[\d+\]: ([ -~]*)$`)
)

// counted takes messages by their length (RFC 6587 §3.4.1).
func (d *daemon) counted(t *testing.T, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for r := bufio.NewReader(c); ; {
				length, err := r.ReadString(' ')
				if err != nil {
					return
				}
				n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
				if err != nil {
					t.Errorf("length %q", length)
					return
				}
				b := make([]byte, n)
				if _, err := io.ReadFull(r, b); err != nil {
					return
				}
				d.take(string(b))
			}
		}()
	}
}

func openWith(t *testing.T, address string, o options) logging.Sink {
	t.Helper()
	s, err := Open(logging.Key{Kind: "syslog", Target: address, Facility: "local0", Tag: "loadstar", Options: o.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// certificate makes one for 127.0.0.1, and the file of its authority, itself.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"logs.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// TestWire: each way that lines may take, against the strict grammar of what it sends;
// every line arrives, once, in order.
func TestWire(t *testing.T) {
	cert, ca := certificate(t)
	secure := tls.NewListener(listen(t, "tcp", "127.0.0.1:0"), &tls.Config{Certificates: []tls.Certificate{cert}})
	counted, lined := listen(t, "tcp", "127.0.0.1:0"), listen(t, "tcp", "127.0.0.1:0")
	udp, path := packets(t, "udp", "127.0.0.1:0"), socketPath(t)
	unixgram := packets(t, "unixgram", path)
	named := tls.NewListener(listen(t, "tcp", "127.0.0.1:0"), &tls.Config{Certificates: []tls.Certificate{cert}})
	for _, c := range []struct {
		name, address string
		options       options
		serve         func(d *daemon)
	}{
		{"udp, 5424", "udp://" + udp.LocalAddr().String(), options{rfc5424: true}, func(d *daemon) { d.datagrams(udp) }},
		{"unix, 5424", "unix/" + path, options{rfc5424: true}, func(d *daemon) { d.datagrams(unixgram) }},
		{"tcp, 5424", "tcp://" + counted.Addr().String(), options{rfc5424: true}, func(d *daemon) { d.counted(t, counted) }},
		{"tcp, 3164, octets", "tcp://" + counted.Addr().String(), options{framing: "octets"}, func(d *daemon) { d.counted(t, counted) }},
		{"tcp, 5424, newline", "tcp://" + lined.Addr().String(), options{rfc5424: true, framing: "newline"}, func(d *daemon) { d.streams(lined, func(net.Conn) {}) }},
		{"tls, 5424", "tls://" + secure.Addr().String(), options{rfc5424: true, ca: ca}, func(d *daemon) { d.counted(t, secure) }},
		{"tls, 3164, by name", "tls://" + named.Addr().String(), options{ca: ca, name: "logs.example"}, func(d *daemon) { d.counted(t, named) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 100 // a datagram socket holds some 200
			d := &daemon{}
			if c.name == "tcp, 3164, octets" { // the listener has its receiver from the case before
				l := listen(t, "tcp", "127.0.0.1:0")
				c.address = "tcp://" + l.Addr().String()
				c.serve = func(d *daemon) { d.counted(t, l) }
			}
			go c.serve(d)
			s := openWith(t, c.address, c.options)
			offer(s, 0, n)
			until(t, "the lines", func() bool { return d.count() == n })
			mustDeliverAll(t, s, n)
			for i := range n {
				grammar, text := strict3164, 2
				if c.options.rfc5424 {
					grammar, text = strict5424, 3
				}
				m := grammar.FindStringSubmatch(strings.TrimSuffix(d.message(i), "\n"))
				if m == nil || m[1] != "134" || m[text] != fmt.Sprintf("line %d", i) || c.options.rfc5424 && m[2] != fmt.Sprint(i+1) {
					t.Fatalf("message %d is %q", i, d.message(i))
				}
			}
		})
	}
}

// TestWireRefusesStrangers: a daemon whose certificate is not the one asked for gets no
// line, and every line is accounted for.
func TestWireRefusesStrangers(t *testing.T) {
	cert, _ := certificate(t)
	_, other := certificate(t)
	l := tls.NewListener(listen(t, "tcp", "127.0.0.1:0"), &tls.Config{Certificates: []tls.Certificate{cert}})
	d := &daemon{}
	go d.counted(t, l)
	s := openWith(t, "tls://"+l.Addr().String(), options{ca: other})
	offer(s, 0, 10)
	_ = s.Close()
	if got := s.Stats(); got != (logging.Stats{Dropped: 10}) || d.count() != 0 {
		t.Errorf("%+v, %d arrived", got, d.count())
	}
}

// TestWirePeerCloses: a daemon that closes the connection between lines loses none, in
// clear and over TLS.
func TestWirePeerCloses(t *testing.T) {
	cert, ca := certificate(t)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint(secure), func(t *testing.T) {
			l := listen(t, "tcp", "127.0.0.1:0")
			address, o := "tcp://"+l.Addr().String(), options{framing: "octets"}
			if secure {
				l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
				address, o.ca = "tls://"+l.Addr().String(), ca
			}
			d, conns := &daemon{}, make(chan net.Conn, 10)
			go d.counted(t, keeping{l, conns})
			s := openWith(t, address, o)
			for i := range 5 {
				offer(s, i, i+1)
				until(t, "the line", func() bool { return d.count() == i+1 })
				_ = (<-conns).Close()
			}
			mustDeliverAll(t, s, 5)
		})
	}
}

// keeping shows the connections that a listener accepts.
type keeping struct {
	net.Listener
	conns chan net.Conn
}

func (k keeping) Accept() (net.Conn, error) {
	c, err := k.Listener.Accept()
	if err == nil {
		k.conns <- c
	}
	return c, err
}

func TestWireOptions(t *testing.T) {
	node := func(address string, words ...string) *config.Node {
		n := &config.Node{Args: []config.Value{{Text: address}}}
		for i := 0; i < len(words); i += 2 {
			n.Options = append(n.Options, config.Node{Word: words[i], Args: []config.Value{{Text: words[i+1]}}})
		}
		return n
	}
	k, err := Module().Key(node("tls://h", "rfc", "5424", "ca", "/x.pem", "name", "n"))
	if o := parseOptions(k.Options); err != nil || o != (options{true, "", "/x.pem", "n"}) {
		t.Errorf("%+v, %v", o, err)
	}
	if k, err := Module().Key(node("", "rfc", "5424")); err != nil || k.Target != "unix//dev/log" {
		t.Errorf("%+v, %v", k, err)
	}
	for _, n := range []*config.Node{
		node("tcp://h:1", "ca", "/x"), node("udp://h:1", "name", "n"), node("udp://h:1", "framing", "octets"), node("tls://h", "framing", "newline"),
	} {
		if k, err := Module().Key(n); err == nil {
			t.Errorf("%+v was taken", k)
		}
	}
	if network, target, err := split("tls://h"); network != "tls" || target != "h:6514" || err != nil {
		t.Error(network, target, err)
	}
}
