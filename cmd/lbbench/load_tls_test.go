//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// tlsOrigin answers GET /bytes/N over TLS and over HTTP/3 on one port.
func tlsOrigin(t *testing.T) int {
	t.Helper()
	dir := t.TempDir()
	if err := makeCertificates(dir); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ecdsa.crt"), filepath.Join(dir, "ecdsa.key"))
	if err != nil {
		t.Fatal(err)
	}
	bytes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/bytes/"))
		if r.URL.Path == "/small" {
			n = smallBody
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		_, _ = w.Write(filler[:n])
	})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: bytes, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	u, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	quic := &http3.Server{Handler: bytes, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})}
	go func() { _ = quic.Serve(u) }()
	t.Cleanup(func() { _ = quic.Close(); _ = u.Close() })
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal(l.Addr())
	}
	return addr.Port
}

// TestCrowd runs each kind of TLS load against a server of the standard library's.
func TestCrowd(t *testing.T) {
	port := tlsOrigin(t)
	for _, p := range []loadPlan{
		{Kind: "tls-full", Conns: 2, Size: smallBody},
		{Kind: "tls-resume", Conns: 2, Size: smallBody},
		{Kind: "tls-get", Conns: 2, Size: 10 << 10},
		{Kind: "tls-idle", Conns: 20, Size: 64},
		{Kind: "h3", Conns: 2, Streams: 3, Size: 64},
	} {
		t.Run(p.Kind, func(t *testing.T) {
			p.Time, p.Timeout, p.Port = 300*time.Millisecond, 20*time.Second, port
			var out bytes.Buffer
			if err := runLoad(p, strings.NewReader("\n"), &out); err != nil {
				t.Fatal(err)
			}
			text := strings.TrimPrefix(out.String(), "ready\n")
			var res loadResult
			if err := json.Unmarshal([]byte(text), &res); err != nil {
				t.Fatal(err)
			}
			if res.Done == 0 || res.Errors != 0 || res.Bytes != int64(res.Done)*p.Size {
				t.Errorf("%+v", res)
			}
		})
	}
}

// TestResumptionIsChecked: a server that never resumes must not be measured as
// one that does.
func TestResumptionIsChecked(t *testing.T) {
	dir := t.TempDir()
	if err := makeCertificates(dir); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "rsa.crt"), filepath.Join(dir, "rsa.key"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, SessionTicketsDisabled: true, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go acceptLoop(l, serveWeb)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, _ := strconv.Atoi(port)
	var out bytes.Buffer
	plan := loadPlan{Kind: "tls-resume", Conns: 1, Port: n, Time: 200 * time.Millisecond, Timeout: 20 * time.Second}
	if err := runLoad(plan, strings.NewReader(""), &out); err != nil {
		t.Fatal(err)
	}
	var res loadResult
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		t.Fatal(err)
	}
	if res.Done != 0 || res.First != errNotResumed.Error() {
		t.Errorf("%+v", res)
	}
}

func TestParseH2Load(t *testing.T) {
	const good = `finished in 301.00ms, 120.00 req/s, 0B/s
requests: 43 total, 43 started, 40 done, 40 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 40 2xx, 0 3xx, 0 4xx, 0 5xx
                     min         max         mean         sd        +/- sd
time for request:      110us      2.11ms       529us       154us    81.20%
`
	for _, c := range []struct {
		name, out string
		want      loadResult
		err       error
	}{
		{"good", good, loadResult{Done: 40}, nil},
		{"errors of the server", strings.Replace(good, "40 2xx, 0 3xx, 0 4xx, 0 5xx", "30 2xx, 0 3xx, 0 4xx, 10 5xx", 1),
			loadResult{Done: 30, Errors: 10, First: "answers that are no 2xx"}, nil},
		{"failed", strings.Replace(good, "0 failed", "3 failed", 1), loadResult{Done: 40, Errors: 3}, nil},
		{"something else", "command not found", loadResult{}, errWrongAnswer},
	} {
		got, err := parseH2Load([]byte(c.out))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestH2Times(t *testing.T) {
	var log strings.Builder
	for i := 1; i <= 1000; i++ {
		fmt.Fprintf(&log, "1700000000000000\t200\t%d\n", i)
	}
	log.WriteString("1700000000000000\t-1\t900000\n1700000000000000\t503\t1\n") // are not answers
	p50, p99, err := h2Times(strings.NewReader(log.String()))
	if err != nil || p50 < 480*time.Microsecond || p50 > 510*time.Microsecond || p99 < 950*time.Microsecond || p99 > time.Millisecond {
		t.Errorf("p50 %v, p99 %v, %v", p50, p99, err)
	}
	for _, bad := range []string{"1 2\n", "1 200 soon\n"} {
		if _, _, err := h2Times(strings.NewReader(bad)); !errors.Is(err, errWrongAnswer) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
