package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// shake does a handshake with a port; the connection ends with the test.
func shake(t *testing.T, port int, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: e2e.Patience}, "tcp", rig.Addr(port), cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(e2e.Patience))
	return c, nil
}

// askTLS sends one request on a new TLS connection and gives status and body.
func askTLS(t *testing.T, port int, cfg *tls.Config, host string) (status int, body string) {
	t.Helper()
	c, err := shake(t, port, cfg)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = c.Close() }()
	_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
	return answerOn(c)
}

func answerOn(r io.Reader) (int, string) {
	all, err := io.ReadAll(r)
	if len(all) == 0 && err != nil {
		return 0, err.Error()
	}
	var status int
	_, _ = fmt.Sscanf(string(all), "HTTP/1.1 %d", &status)
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	return status, body
}

// trusting gives a client's configuration.
func trusting(t *testing.T, rootFile, name string) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(rootFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate", rootFile)
	}
	return &tls.Config{RootCAs: roots, ServerName: name}
}

// secureOptions is the process block with a state directory of the test's own.
func secureOptions(t *testing.T) (block, state string) {
	t.Helper()
	state = t.TempDir()
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return fmt.Sprintf("{\n\tadmin unix/%s/admin.sock\n\tstate %s\n}\n", dir, state), state
}

func TestTLSInternal(t *testing.T) {
	options, state := secureOptions(t)
	origin := e2e.NewOrigin(t, nil)
	p := e2e.Ports(t, 2)
	in := e2e.Run(t, options+fmt.Sprintf(`
https://localhost:%[1]d {
	tls internal
	log stdout
	redirect /old https://{http.host}/new
	proxy 127.0.0.1:%[3]d
}
https://*.sub.localhost:%[1]d {
	tls internal
	respond "{tls.version} {tls.cipher} {tls.sni} {http.scheme}"
}
https://:%[2]d {
	tls internal min_version 1.3
	respond "any"
}`, p[0], p[1], origin.Port), p...)
	root := filepath.Join(state, "internal", "root.crt")
	if status, body := askTLS(t, p[0], trusting(t, root, "localhost"), "localhost"); status != 200 || body != "ok" {
		t.Fatalf("%d %q", status, body)
	}
	messages, _ := origin.Take()
	if len(messages) != 1 || messages[0].Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("the server saw %v", messages)
	}
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(in.Output(), fmt.Sprintf("https://localhost:%d~ ", p[0])) }) {
		t.Errorf("the log does not show TLS:\n%s", in.Output())
	}
	want := "TLSv1.3 TLS_AES_128_GCM_SHA256 a.sub.localhost https"
	if status, body := askTLS(t, p[0], trusting(t, root, "a.sub.localhost"), "a.sub.localhost"); status != 200 || body != want {
		t.Errorf("%d %q, want %q", status, body, want)
	}
	if status, body := askTLS(t, p[1], trusting(t, root, "anything.test"), "anything.test"); status != 200 || body != "any" {
		t.Errorf("%d %q", status, body)
	}
	if status, _ := askTLS(t, p[1], trusting(t, root, "127.0.0.1"), "127.0.0.1"); status != 200 {
		t.Errorf("by address: %d", status)
	}
	old := trusting(t, root, "anything.test")
	old.MaxVersion = tls.VersionTLS12
	if _, err := shake(t, p[1], old); err == nil {
		t.Error("TLS 1.2 is spoken where 1.3 is the least")
	}
	c, err := shake(t, p[0], trusting(t, root, "localhost"))
	if err != nil || c.ConnectionState().CurveID != tls.X25519MLKEM768 {
		t.Errorf("key exchange %v (%v)", c.ConnectionState().CurveID, err)
	}
}

// What is no TLS on a TLS port, and TLS on a port in clear, is refused at once.
func TestTLSMistaken(t *testing.T) {
	options, _ := secureOptions(t)
	p := e2e.Ports(t, 2)
	in := e2e.Run(t, options+fmt.Sprintf("https://localhost:%d {\n\ttls internal\n\trespond ok\n}\nhttp://:%d {\n\tlog stdout\n\trespond ok\n}\n", p[0], p[1]), p...)
	c := e2e.Dial(t, p[0])
	c.Send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000))
	if a := c.Answer("POST"); a.Status != 400 || !strings.Contains(a.Body, "speaks TLS") || !a.Complete {
		t.Errorf("plain HTTP: %+v", a)
	}
	for _, garbage := range []string{"\x00\x01\x02\x03\x04\x05\x06\x07", "hello there\r\n", "\x16\x03\x01\xff\xff" + strings.Repeat("z", 100)} {
		c := e2e.Dial(t, p[0])
		c.Send(garbage)
		c.CloseWrite()
		_, _ = io.Copy(io.Discard, c.R)
	}
	if _, err := shake(t, p[1], &tls.Config{ServerName: "localhost"}); err == nil || !strings.Contains(err.Error(), "handshake failure") {
		t.Errorf("a port in clear does not say in TLS that it speaks none: %v", err)
	}
	// It is not waited on for more.
	c = e2e.Dial(t, p[1])
	c.Send("\x16")
	if b, err := c.R.ReadByte(); b != 0x15 || err != nil {
		t.Errorf("a record is answered by %#x, %v", b, err)
	}
	if !rig.Until(e2e.Patience, func() bool {
		out := in.Output()
		return strings.Count(out, "plain HTTP on a TLS port") == 1 && strings.Count(out, "TLS handshake failed") == 3 && strings.Count(out, "<BADREQ>") == 2
	}) {
		t.Errorf("each is logged once:\n%s", in.Output())
	}
}

// A certificate is swapped when its files change, and the last good one goes on
// when what was written is broken.
func TestTLSFilesWatched(t *testing.T) {
	t.Parallel()
	options, _ := secureOptions(t)
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	issue := newIssuer(t)
	first := issue.pair(t, crt, key, "example.test")
	p := e2e.Ports(t, 1)
	in := e2e.Run(t, options+fmt.Sprintf("https://example.test:%d {\n\ttls %s %s\n\trespond ok\n}\n", p[0], crt, key), p...)
	seen := func() string {
		c, err := shake(t, p[0], &tls.Config{RootCAs: issue.pool, ServerName: "example.test"})
		if err != nil {
			return err.Error()
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	if got := seen(); got != first {
		t.Fatalf("shown %s, want %s", got, first)
	}
	second := issue.pair(t, crt, key, "example.test")
	if !rig.Until(e2e.Patience, func() bool { return seen() == second }) {
		t.Fatalf("the new certificate is not shown:\n%s", in.Output())
	}
	if err := os.WriteFile(crt, []byte("-----BEGIN CERTIFICATE-----\nAAAA"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(in.Output(), "the last good ones go on") }) {
		t.Errorf("a broken file is not reported:\n%s", in.Output())
	}
	if got := seen(); got != second {
		t.Errorf("with a broken file %s is shown, want %s", got, second)
	}
	in.Reload() // is refused: all of it or nothing
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(in.Output(), "configuration refused") }) {
		t.Errorf("a broken certificate is loaded:\n%s", in.Output())
	}
	third := issue.pair(t, crt, key, "example.test")
	if !rig.Until(e2e.Patience, func() bool { return seen() == third }) {
		t.Errorf("the mended certificate is not shown:\n%s", in.Output())
	}
}

// Reloads under load lose no request, and sessions are resumed across them.
func TestTLSReload(t *testing.T) {
	options, state := secureOptions(t)
	p := e2e.Ports(t, 1)
	config := func(n int) string {
		return options + fmt.Sprintf("https://localhost:%d {\n\ttls internal\n\trespond \"answer %d\"\n}\n", p[0], n)
	}
	in := e2e.Run(t, config(0), p...)
	cfg := trusting(t, filepath.Join(state, "internal", "root.crt"), "localhost")
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	var served, lost, resumed atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		keep := i%2 == 0
		wg.Go(func() {
			tr := &http.Transport{TLSClientConfig: cfg.Clone(), DisableKeepAlives: !keep}
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr, Timeout: e2e.Patience}
			for {
				select {
				case <-stop:
					return
				default:
				}
				res, err := client.Post(fmt.Sprintf("https://localhost:%d/", p[0]), "text/plain", strings.NewReader("x"))
				if err != nil {
					lost.Add(1)
					t.Error(err)
					continue
				}
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != 200 || err != nil {
					lost.Add(1)
				}
				if res.TLS.DidResume {
					resumed.Add(1)
				}
				served.Add(1)
			}
		})
	}
	for n := range 20 {
		before := served.Load()
		in.Write(config(n + 1))
		in.Reload()
		want := fmt.Sprintf("generation=%d", n+2)
		if !rig.Until(e2e.Patience, func() bool { return strings.Contains(in.Output(), want) && served.Load() > before+8 }) {
			t.Errorf("reload %d:\n%s", n, in.Output())
			break
		}
	}
	close(stop)
	wg.Wait()
	if lost.Load() != 0 || resumed.Load() == 0 {
		t.Errorf("%d served, %d lost, %d resumed", served.Load(), lost.Load(), resumed.Load())
	}
}

// A session of one site resumes nothing at another with other rules, and a request
// for the other site on the first one's connection is misdirected.
func TestTLSPolicies(t *testing.T) {
	options, _ := secureOptions(t)
	dir := t.TempDir()
	issue := newIssuer(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	issue.pair(t, file("open.crt"), file("open.key"), "open.test", "twin.test")
	issue.pair(t, file("shut.crt"), file("shut.key"), "shut.test")
	issue.pair(t, file("client.crt"), file("client.key"), "ann.test")
	issue.write(t, file("ca.crt"))
	p := e2e.Ports(t, 1)
	e2e.Run(t, options+fmt.Sprintf(`
(open) {
	tls %[2]s/open.crt %[2]s/open.key
}
https://open.test:%[1]d {
	import open
	respond "open"
}
https://twin.test:%[1]d {
	import open
	respond "twin"
}
https://shut.test:%[1]d {
	tls %[2]s/shut.crt %[2]s/shut.key client_auth require %[2]s/ca.crt
	@ann client_cert name ann.test
	@root client_cert issuer CN=Test*
	respond @ann "shut {tls.client.subject} {tls.client.fingerprint}"
	deny @root 403
}`, p[0], dir), p...)
	cfg := func(name string) *tls.Config { return &tls.Config{RootCAs: issue.pool, ServerName: name} }
	for host, want := range map[string]int{"open.test": 200, "twin.test": 200, "shut.test": 421, "none.test": 404} {
		if status, body := askTLS(t, p[0], cfg("open.test"), host); status != want {
			t.Errorf("open.test asked for %s: %d %q, want %d", host, status, body, want)
		}
	}
	if status, body := askTLS(t, p[0], cfg("shut.test"), "shut.test"); status != 0 {
		t.Errorf("without a certificate: %d %q", status, body)
	}
	with := cfg("shut.test")
	pair, err := tls.LoadX509KeyPair(file("client.crt"), file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	with.Certificates = []tls.Certificate{pair}
	if status, body := askTLS(t, p[0], with, "shut.test"); status != 200 || !strings.HasPrefix(body, "shut CN=ann.test ") {
		t.Errorf("with a certificate: %d %q", status, body)
	}
	if status, _ := askTLS(t, p[0], with, "open.test"); status != 421 {
		t.Errorf("shut.test asked for open.test: %d", status)
	}
	// One cache, whose key is made not to tell the names apart.
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := &oneSession{}
		resumes := func(name string) bool {
			c := cfg(name)
			c.ClientSessionCache, c.MaxVersion, c.Certificates = cache, version, with.Certificates
			// The client would itself refuse a session of another name.
			c.InsecureSkipVerify = true
			conn, err := shake(t, p[0], c)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name)
			if status, body := answerOn(conn); status != 200 {
				t.Errorf("%s: %d %q", name, status, body)
			}
			return conn.ConnectionState().DidResume
		}
		if resumes("open.test") || !resumes("open.test") || !resumes("twin.test") {
			t.Errorf("%s: a session is not resumed where the rules are the same", tls.VersionName(version))
		}
		if resumes("shut.test") {
			t.Errorf("%s: a session of open.test is resumed at shut.test", tls.VersionName(version))
		}
		if !resumes("shut.test") || resumes("open.test") {
			t.Errorf("%s: sessions of shut.test", tls.VersionName(version))
		}
	}
}

// oneSession is a cache that holds the last session, whosever it is.
type oneSession struct{ last *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.last, o.last != nil }
func (o *oneSession) Put(_ string, s *tls.ClientSessionState)    { o.last = s }
