package runtime_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/runtime"
)

// patience is when a test that waits for what must come gives up.
const patience = 30 * time.Second

// await waits until ok, or for as long as patience lasts.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// many are the clients whose connections carry several exchanges at a time, by the
// version that they speak.
func many(t *testing.T) map[string]*http.Client {
	conf := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}
	h2 := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}
	h3 := &http3.Transport{TLSClientConfig: conf, QUICConfig: &quic.Config{HandshakeIdleTimeout: patience}}
	t.Cleanup(func() { h2.CloseIdleConnections(); _ = h3.Close() })
	return map[string]*http.Client{"HTTP/2.0": {Transport: h2}, "HTTP/3.0": {Transport: h3}}
}

// secure is a site of all versions that leaves requests to a server.
func secure(port int, server string) string {
	return fmt.Sprintf("https://localhost:%d {\n\tbind 127.0.0.1\n\tlog off\n\ttls internal\n\tproxy %s\n}\n", port, server)
}

// begun asks for an answer that does not end, of which the first bytes have come.
func begun(t *testing.T, c *http.Client, version, url string) *http.Response {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatalf("%s: %v", version, err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.Proto != version {
		t.Fatalf("%s, want %s", res.Proto, version)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
		t.Fatalf("%s: %v", version, err)
	}
	return res
}

// holding is a server whose answers begin, and end when release is closed.
func holding(t *testing.T) (server string, release chan bool) {
	release = make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			return
		}
		_, _ = io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		select {
		case <-release:
			_, _ = io.WriteString(w, "ended")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), release
}

// log is what was logged.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// With a limit, a stream does not keep a replaced configuration for ever; others on
// the same connection have taken up the new one before it is cut.
func TestRetiredStreams(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	server, _ := holding(t)
	logged := &log{}
	r := runtime.New(modules.Standard(), slog.New(slog.NewTextHandler(logged, nil)))
	t.Cleanup(func() { stop(r, time.Second) })
	port := freePort(t)
	text := "{\n\tgrace 30s retired 1s\n}\n" + secure(port, server)
	if _, found := r.Apply(load(t, text)); found.HasErrors() {
		t.Fatal(found)
	}
	url := fmt.Sprintf("https://localhost:%d", port)
	clients, held := many(t), map[string]*http.Response{}
	for version, c := range clients {
		held[version] = begun(t, c, version, url)
	}
	if _, found := r.Apply(load(t, text)); found.HasErrors() {
		t.Fatal(found)
	}
	for version, c := range clients {
		res, err := c.Get(url + "/small")
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		_ = res.Body.Close()
	}
	if n := r.Stats().Draining; n != 1 {
		t.Errorf("%d configurations are replaced, and in use", n)
	}
	for version, res := range held {
		cut := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, res.Body)
			cut <- err
		}()
		select {
		case err := <-cut:
			if err == nil {
				t.Errorf("%s: the stream has ended as if it were whole", version)
			}
		case <-time.After(patience):
			t.Errorf("%s: the stream goes on", version)
		}
	}
	await(t, "the end of the old configuration", func() bool { return r.Stats().Draining == 0 })
	if !strings.Contains(logged.String(), "grace retired") {
		t.Errorf("nothing says why: %s", logged)
	}
}

// When a site's address goes with a reload, what is in progress on it ends whole,
// and its connections end; the port takes nobody, and is free again.
func TestListenerGoes(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	server, release := holding(t)
	r := newRuntime(t)
	stays, goes := freePort(t), freePort(t)
	stay := secure(stays, server)
	if _, found := r.Apply(load(t, stay+secure(goes, server))); found.HasErrors() {
		t.Fatal(found)
	}
	url := fmt.Sprintf("https://localhost:%d", goes)
	clients, held := many(t), map[string]*http.Response{}
	for version, c := range clients {
		held[version] = begun(t, c, version, url)
	}
	if _, found := r.Apply(load(t, stay)); found.HasErrors() {
		t.Fatal(found)
	}
	conf := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h3"}}
	address := fmt.Sprintf("127.0.0.1:%d", goes)
	if c, err := tls.Dial("tcp", address, conf); err == nil {
		_ = c.Close()
		t.Error("TCP: somebody was taken")
	}
	if c, err := quic.DialAddr(t.Context(), address, conf, &quic.Config{HandshakeIdleTimeout: 300 * time.Millisecond}); err == nil {
		_ = c.CloseWithError(0, "")
		t.Error("QUIC: somebody was taken")
	}
	close(release)
	for version, res := range held {
		if b, err := io.ReadAll(res.Body); string(b) != "ended" || err != nil {
			t.Errorf("%s: %q, %v", version, b, err)
		}
	}
	await(t, "the end of the connections", func() bool { return r.Stats().Connections == 0 && r.Stats().Draining == 0 })
	if _, found := r.Apply(load(t, stay+secure(goes, server))); found.HasErrors() {
		t.Errorf("the port is still taken: %v", found)
	}
	for version, c := range many(t) {
		begun(t, c, version, url)
	}
}
