package main_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// dialH3 gives a client of HTTP/3.
func dialH3(t *testing.T, cfg *tls.Config) *http.Client {
	t.Helper()
	tr := &http3.Transport{TLSClientConfig: cfg, QUICConfig: &quic.Config{HandshakeIdleTimeout: e2e.Patience}}
	t.Cleanup(func() { _ = tr.Close() })
	return &http.Client{Transport: tr, Timeout: 2 * e2e.Patience}
}

// askH3 gets a URL path of a host.
func askH3(t *testing.T, c *http.Client, port int, host, path string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "https://"+rig.Addr(port)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func TestExampleHTTP3(t *testing.T) {
	state := t.TempDir()
	t.Setenv("STATE_DIRECTORY", state)
	x := boot(t, "http3.lb")
	cfg := trusting(t, filepath.Join(state, "internal", "root.crt"), "localhost")
	port := x.ports["8443"]
	res, body := askH3(t, dialH3(t, cfg), port, "localhost", "/")
	if res.StatusCode != 200 || !strings.HasPrefix(body, "10.0.0.") || res.Header.Get("X-Came-By") != "HTTP/3" || res.Header.Get("Alt-Svc") != "" {
		t.Errorf("%d %q %v", res.StatusCode, body, res.Header)
	}
	// The other versions tell of it, the other site does not, and has none.
	for host, want := range map[string]string{"localhost": "h3=\":" + strconv.Itoa(port) + "\"; ma=86400", "plain.localhost": ""} {
		tr := &http.Transport{TLSClientConfig: trusting(t, filepath.Join(state, "internal", "root.crt"), host), ForceAttemptHTTP2: true}
		res, _ := askH3(t, &http.Client{Transport: tr}, port, host, "/")
		tr.CloseIdleConnections()
		if res.ProtoMajor != 2 || res.Header.Get("Alt-Svc") != want {
			t.Errorf("%s: %s %q, want %q", host, res.Proto, res.Header.Get("Alt-Svc"), want)
		}
	}
	cfg = cfg.Clone()
	cfg.ServerName = "plain.localhost"
	if res, err := dialH3(t, cfg).Get("https://" + rig.Addr(port) + "/"); err == nil {
		_ = res.Body.Close()
		t.Error("a site without HTTP/3 speaks it")
	}
	// A host whose site does not speak HTTP/3 is not served on another's connection.
	cfg = trusting(t, filepath.Join(state, "internal", "root.crt"), "localhost")
	if res, _ := askH3(t, dialH3(t, cfg), port, "plain.localhost", "/"); res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("%d", res.StatusCode)
	}
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(x.Output(), "\"GET / HTTP/3.0\"") }) {
		t.Errorf("no log of it:\n%s", x.Output())
	}
	if info, err := os.Stat(filepath.Join(state, "quic.key")); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 64 {
		t.Errorf("the secret: %v %v", info, err)
	}
}
