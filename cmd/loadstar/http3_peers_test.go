package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// secureSite starts a site of TLS on localhost that does what is written, and
// gives what a client trusts.
func secureSite(t *testing.T, port int, rest string) (*e2e.Instance, *tls.Config) {
	t.Helper()
	options, state := secureOptions(t)
	in := e2e.Run(t, options+fmt.Sprintf("https://localhost:%d {\n%s}\n", port, rest), port)
	return in, trusting(t, filepath.Join(state, "internal", "root.crt"), "localhost")
}

// TestHTTP3BesideProxyProtocol: who must send a PROXY header over TCP does not come in
// by QUIC without one, as if he were the client himself.
func TestHTTP3BesideProxyProtocol(t *testing.T) {
	for from, served := range map[string]bool{"10.0.0.0/8": true, "127.0.0.0/8": false} {
		port := e2e.Ports(t, 1)[0]
		in, cfg := secureSite(t, port, "\ttls internal\n\tproxy_protocol from "+from+"\n\trespond \"{client.ip}\"\n")
		req, err := http.NewRequest(http.MethodGet, "https://"+rig.Addr(port)+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "localhost"
		res, err := dialH3(t, cfg).Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		if (err == nil) != served {
			t.Errorf("from %s: %v %v", from, res, err)
		}
		if !served {
			printed(t, in, "QUIC from who has to send a PROXY header")
		}
	}
}

// TestHTTP3Reload: reloads lose no request of HTTP/3 clients that repeat none, and
// no connection is closed for them.
func TestHTTP3Reload(t *testing.T) {
	t.Parallel()
	const clients, reloads = 6, 12
	origin := e2e.NewOrigin(t, nil)
	port := e2e.Ports(t, 1)[0]
	in, cfg := secureSite(t, port, fmt.Sprintf("\ttls internal\n\tlog off\n\tproxy 127.0.0.1:%d\n", origin.Port))
	var dials, done, failed atomic.Int64
	stop := make(chan bool)
	var wg sync.WaitGroup
	for range clients {
		tr := &http3.Transport{TLSClientConfig: cfg, Dial: func(ctx context.Context, addr string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			dials.Add(1)
			return quic.DialAddr(ctx, addr, tc, qc)
		}, QUICConfig: &quic.Config{HandshakeIdleTimeout: e2e.Patience}}
		t.Cleanup(func() { _ = tr.Close() })
		client := &http.Client{Transport: tr, Timeout: 2 * e2e.Patience}
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				req, err := http.NewRequest(http.MethodPost, "https://"+rig.Addr(port)+"/", strings.NewReader("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				req.Host = "localhost"
				res, err := client.Do(req)
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				if done.Add(1); err != nil || res.StatusCode != 200 || res.ProtoMajor != 3 {
					failed.Add(1)
					t.Errorf("%v %v", res, err)
					return
				}
			}
		})
	}
	for i := range reloads {
		seen := done.Load()
		if !rig.Until(2*e2e.Patience, func() bool { return done.Load() >= seen+10*clients || failed.Load() > 0 }) {
			t.Fatal("no request is answered any more")
		}
		in.Reload()
		if !rig.Until(2*e2e.Patience, func() bool { return strings.Contains(in.Output(), fmt.Sprintf("generation=%d number", i+2)) }) {
			t.Fatalf("no generation %d:\n%s", i+2, in.Output())
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests, %d reloads, %d lost, %d connections", done.Load(), reloads, failed.Load(), dials.Load())
	if dials.Load() != clients {
		t.Errorf("%d connections for %d clients", dials.Load(), clients)
	}
}

// A site that goes and comes back while its connections end goes on with the same
// UDP socket; one that stops lets them end.
func TestHTTP3ComesBack(t *testing.T) {
	t.Parallel()
	ports := e2e.Ports(t, 2)
	in, cfg := secureSite(t, ports[0], "\ttls internal\n\trespond \"one\"\n")
	text, err := os.ReadFile(in.File)
	if err != nil {
		t.Fatal(err)
	}
	whole := string(text)
	client := dialH3(t, cfg)
	askH3(t, client, ports[0], "localhost", "/")
	generation := 1
	load := func(config string) {
		t.Helper()
		in.Write(config)
		in.Reload()
		generation++
		if !rig.Until(e2e.Patience, func() bool { return strings.Contains(in.Output(), fmt.Sprintf("generation=%d number", generation)) }) {
			t.Fatalf("it was refused:\n%s", in.Output())
		}
	}
	for range 2 {
		load(strings.ReplaceAll(whole, "tls internal", "tls internal protocols h1 h2"))
		load(whole)
		if res, body := askH3(t, dialH3(t, cfg), ports[0], "localhost", "/"); res.ProtoMajor != 3 || body != "one" {
			t.Errorf("%s %q", res.Proto, body)
		}
	}
}

// TestHTTP3WebSocket: extended CONNECT over HTTP/3 reaches a server of HTTP/1.
func TestHTTP3WebSocket(t *testing.T) {
	port := e2e.Ports(t, 1)[0]
	_, cfg := secureSite(t, port, fmt.Sprintf("\ttls internal\n\tproxy 127.0.0.1:%d\n", websocketOrigin(t)))
	cfg.NextProtos = []string{"h3"}
	q, err := quic.DialAddr(t.Context(), rig.Addr(port), cfg, &quic.Config{HandshakeIdleTimeout: e2e.Patience})
	if err != nil {
		t.Fatal(err)
	}
	tr := &http3.Transport{}
	c := tr.NewClientConn(q)
	t.Cleanup(func() { _ = c.CloseWithError(0x100, "") })
	<-c.ReceivedSettings()
	if !c.Settings().EnableExtendedConnect {
		t.Error("the settings do not allow it")
	}
	open := func(path string) (*http3.RequestStream, int) {
		s, err := c.OpenRequestStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = s.SetDeadline(time.Now().Add(2 * e2e.Patience))
		req, err := http.NewRequest(http.MethodConnect, fmt.Sprintf("https://localhost:%d%s", port, path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Proto = "websocket"
		req.Header.Set("Sec-WebSocket-Version", "13")
		if err := s.SendRequestHeader(req); err != nil {
			t.Fatal(err)
		}
		res, err := s.ReadResponse()
		if err != nil {
			t.Fatal(err)
		}
		return s, res.StatusCode
	}
	s, status := open("/")
	if status != 200 {
		t.Fatalf("%d", status)
	}
	sent := bytes.Repeat([]byte("echo "), 40_000)
	go func() {
		_, _ = s.Write(sent)
		_ = s.Close()
	}()
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d, %v", len(got), len(sent), err)
	}
	if _, status := open("/no"); status != 403 {
		t.Errorf("what the server refuses: %d", status)
	}
}

// TestHTTP3EarlyData: safe requests come through early and say so, others are told
// to wait. A site that asked for none gets none: not on a connection of its own, nor
// on another site's.
func TestHTTP3EarlyData(t *testing.T) {
	port := e2e.Ports(t, 1)[0]
	options, state := secureOptions(t)
	e2e.Run(t, options+fmt.Sprintf("https://localhost:%[1]d {\n\ttls internal early_data on\n\trespond \"{http.header.early-data}.\"\n}\n"+
		"https://other.localhost:%[1]d {\n\ttls internal\n\trespond other\n}\n", port), port)
	cfg := trusting(t, filepath.Join(state, "internal", "root.crt"), "localhost")
	cfg.NextProtos, cfg.ClientSessionCache = []string{"h3"}, tls.NewLRUClientSessionCache(10)
	for _, c := range []struct{ method, host, want string }{
		{"GET", "localhost", "200 1."}, {"HEAD", "localhost", "200 "}, {"POST", "localhost", "425 "}, {"DELETE", "localhost", "425 "},
		{"GET", "other.localhost", "421 "},
	} {
		if !rig.Until(2*e2e.Patience, func() bool { // the handshake may be faster than the request
			answer, early := askEarly(t, port, cfg, c.method, c.host)
			if early && c.method == "HEAD" {
				return answer == "200 "
			}
			return early && answer == c.want
		}) {
			t.Errorf("%s %s: never answered with %q", c.method, c.host, c.want)
		}
	}
	cfg.ServerName = "other.localhost"
	for range 3 {
		if answer, early := askEarly(t, port, cfg, "GET", "other.localhost"); early || answer != "200 other" && answer != "rejected" {
			t.Errorf("who asked for none: %q, %t", answer, early)
		}
	}
}

// askEarly sends a request with the first packets, if a session allows that, and
// gives status and body. It then waits until there is a session for the next time.
func askEarly(t *testing.T, port int, cfg *tls.Config, method, host string) (answer string, early bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*e2e.Patience)
	defer cancel()
	q, err := quic.DialAddrEarly(ctx, rig.Addr(port), cfg, &quic.Config{HandshakeIdleTimeout: e2e.Patience})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.CloseWithError(0x100, "") }()
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", host}, {":path", "/"}} {
		_ = enc.WriteField(qpack.HeaderField{Name: f[0], Value: f[1]})
	}
	s, err := q.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.Write(append(wire.AppendFrame(nil, wire.FrameHeaders, uint64(block.Len())), block.Bytes()...))
	_ = s.Close()
	if u, err := q.OpenUniStream(); err == nil {
		_, _ = u.Write([]byte{wire.StreamControl, wire.FrameSettings, 0})
	}
	<-q.HandshakeComplete()
	all, err := io.ReadAll(s)
	if errors.Is(err, quic.Err0RTTRejected) { // it would be sent again now
		return "rejected", false
	}
	if err != nil {
		t.Fatal(err)
	}
	kind, size, n := wire.ParseFrame(all)
	if kind != wire.FrameHeaders || size > uint64(len(all)-n) {
		t.Fatalf("%q", all)
	}
	f, err := qpack.NewDecoder().Decode(all[n : n+int(size)])()
	if err != nil {
		t.Fatal(err)
	}
	answer = f.Value + " "
	if _, _, n2 := wire.ParseFrame(all[n+int(size):]); n2 > 0 && f.Value == "200" {
		answer += string(all[n+int(size)+n2:])
	}
	return answer, q.ConnectionState().Used0RTT
}

// TestHTTP3ClientCertificates: who may in by TCP may in by QUIC, and nobody else; a
// session of one site opens nothing of another.
func TestHTTP3ClientCertificates(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	issue := newIssuer(t)
	issue.write(t, file("ca.crt"))
	for _, name := range []string{"open.test", "shut.test", "ann.test"} {
		issue.pair(t, file(name+".crt"), file(name+".key"), name)
	}
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, fmt.Sprintf(`https://open.test:%[1]d {
	tls %[2]s/open.test.crt %[2]s/open.test.key
	respond "open"
}
https://shut.test:%[1]d {
	tls %[2]s/shut.test.crt %[2]s/shut.test.key client_auth require %[2]s/ca.crt
	respond "shut {tls.client.subject}"
}
`, port, dir), port)
	cache := tls.NewLRUClientSessionCache(10)
	cfg := func(name string) *tls.Config {
		return &tls.Config{RootCAs: issue.pool, ServerName: name, ClientSessionCache: cache}
	}
	open := dialH3(t, cfg("open.test"))
	for host, want := range map[string]int{"open.test": 200, "shut.test": 421, "none.test": 404} {
		if res, body := askH3(t, open, port, host, "/"); res.StatusCode != want {
			t.Errorf("open.test asked for %s: %d %q", host, res.StatusCode, body)
		}
	}
	if res, err := dialH3(t, cfg("shut.test")).Get("https://" + rig.Addr(port) + "/"); err == nil {
		_ = res.Body.Close()
		t.Errorf("without a certificate: %d", res.StatusCode)
	}
	pair, err := tls.LoadX509KeyPair(file("ann.test.crt"), file("ann.test.key"))
	if err != nil {
		t.Fatal(err)
	}
	with := cfg("shut.test")
	with.Certificates = []tls.Certificate{pair}
	shut := dialH3(t, with)
	if res, body := askH3(t, shut, port, "shut.test", "/"); res.StatusCode != 200 || body != "shut CN=ann.test" {
		t.Errorf("with a certificate: %d %q", res.StatusCode, body)
	}
	if res, _ := askH3(t, shut, port, "open.test", "/"); res.StatusCode != 421 {
		t.Errorf("shut.test asked for open.test: %d", res.StatusCode)
	}
}

// TestHTTP3Chromium: a browser loads a page over HTTP/3, its certificate pinned by
// the hash of its key.
func TestHTTP3Chromium(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("SKIPPED: no Chromium to be a foreign client of HTTP/3; apt-get install chromium")
	}
	port := e2e.Ports(t, 1)[0]
	in, cfg := secureSite(t, port, "\ttls internal\n\tlog stdout\n\trespond \"<p>loaded over {http.version}</p>\"\n")
	c, err := tls.Dial("tcp", rig.Addr(port), cfg)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(c.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	_ = c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		fmt.Sprintf("--origin-to-force-quic-on=localhost:%d", port), "--ignore-certificate-errors-spki-list="+base64.StdEncoding.EncodeToString(sum[:]),
		"--dump-dom", fmt.Sprintf("https://localhost:%d/", port))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has children
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	page, err := cmd.Output()
	if err != nil || !strings.Contains(string(page), "loaded over 3") {
		t.Errorf("%s (%v)", page, err)
	}
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(in.Output(), "\"GET / HTTP/3.0\"") }) {
		t.Errorf("the log does not know of it:\n%s", in.Output())
	}
}
