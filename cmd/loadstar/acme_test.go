package main_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
	"github.com/loadstar-lb/loadstar/modules/acme/acmetest"
)

// accepted gives a client's configuration that trusts an authority. Its clock is a
// little ahead: certificates begin the moment they are issued.
func accepted(ca *acmetest.CA, name string) *tls.Config {
	return &tls.Config{ServerName: name, RootCAs: ca.Roots, Time: func() time.Time { return time.Now().Add(2 * time.Second) }}
}

// issued waits for a certificate of the authority and gives it.
func issued(t *testing.T, in *e2e.Instance, port int, cfg *tls.Config) *x509.Certificate {
	t.Helper()
	var got *x509.Certificate
	if !rig.Until(e2e.Patience, func() bool {
		c, err := shake(t, port, cfg)
		if err == nil {
			got = c.ConnectionState().PeerCertificates[0]
		}
		return err == nil
	}) {
		t.Fatalf("no certificate for %s:\n%s", cfg.ServerName, in.Output())
	}
	return got
}

// A process without certificates has them issued while it serves, keeps them over a
// reload, and begins with them when it is started again while the authority is away.
func TestAutomaticHTTPS(t *testing.T) {
	t.Parallel()
	options, _ := secureOptions(t)
	p := e2e.Ports(t, 2)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: p[1], TLSPort: 1, BadNonces: 10})
	options = strings.Replace(options, "{\n", fmt.Sprintf("{\n\tacme email ops@example.com challenge http ca %s root %s\n", ca.URL, ca.RootFile), 1)
	text := options + fmt.Sprintf(`
https://example.test:%[1]d {
	respond "secure"
}
http://:%[2]d {
	log stdout
	respond "plain"
}
`, p[0], p[1])
	var first *x509.Certificate
	t.Run("first start", func(t *testing.T) {
		in := e2e.Run(t, text, p[1])
		first = issued(t, in, p[0], accepted(ca, "example.test"))
		if status, body := askTLS(t, p[0], accepted(ca, "example.test"), "example.test"); status != 200 || body != "secure" {
			t.Errorf("%d %q", status, body)
		}
		if !rig.Until(e2e.Patience, func() bool {
			return strings.Contains(in.Output(), `"GET /.well-known/acme-challenge/`) && strings.Contains(in.Output(), "certificate issued")
		}) {
			t.Errorf("the log does not show how it came about:\n%s", in.Output())
		}
		c := e2e.Dial(t, p[1]) // what is no challenge that is open is the site's
		c.Send("GET /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: example.test\r\n\r\n")
		if a := c.Answer("GET"); a.Status != 200 || a.Body != "plain" {
			t.Errorf("a foreign challenge: %+v", a)
		}

		// A reload that adds a name lets the one there is be.
		keep, err := shake(t, p[0], accepted(ca, "example.test"))
		if err != nil {
			t.Fatal(err)
		}
		in.Write(text + fmt.Sprintf("https://second.test:%d {\n\trespond \"second\"\n}\n", p[0]))
		in.Reload()
		issued(t, in, p[0], accepted(ca, "second.test"))
		if again := issued(t, in, p[0], accepted(ca, "example.test")); !again.Equal(first) {
			t.Error("the reload had another certificate issued")
		}
		_, _ = fmt.Fprintf(keep, "GET / HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n")
		if status, body := answerOn(keep); status != 200 || body != "secure" {
			t.Errorf("a connection of before the reload: %d %q", status, body)
		}
		if ca.Issued() != 2 {
			t.Errorf("%d certificates were issued for two names", ca.Issued())
		}
	})

	// A start without the authority: what is stored serves, what is not says why.
	ca.Stop()
	after := e2e.Run(t, text+fmt.Sprintf("https://third.test:%d {\n\trespond \"third\"\n}\n", p[0]), p[1])
	tc, err := shake(t, p[0], accepted(ca, "example.test"))
	if err != nil || !tc.ConnectionState().PeerCertificates[0].Equal(first) {
		t.Errorf("after the restart: %v", err)
	}
	if _, err := shake(t, p[0], accepted(ca, "third.test")); err == nil {
		t.Error("a handshake without a certificate")
	}
	if !rig.Until(e2e.Patience, func() bool {
		_, _ = shake(t, p[0], accepted(ca, "third.test"))
		return strings.Contains(after.Output(), "no certificate for third.test") && strings.Contains(after.Output(), "connection refused")
	}) {
		t.Errorf("the log does not say why there is no certificate:\n%s", after.Output())
	}
}

// A stream has its certificate by TLS-ALPN-01, and servers see nothing of the
// authority's handshakes.
func TestAutomaticStream(t *testing.T) {
	options, _ := secureOptions(t)
	p := e2e.Ports(t, 1)
	origin := e2e.NewOrigin(t, nil)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: 1, TLSPort: p[0]})
	in := e2e.Run(t, options+fmt.Sprintf(`
tls://mail.example.test:%d {
	acme challenge tls_alpn {
		ca %s root %s
	}
	proxy 127.0.0.1:%d
}
`, p[0], ca.URL, ca.RootFile, origin.Port))
	issued(t, in, p[0], accepted(ca, "mail.example.test"))
	c, err := shake(t, p[0], accepted(ca, "mail.example.test"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: mail.example.test\r\n\r\n")
	if a, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || a.StatusCode != 200 {
		t.Errorf("%v %v", a, err)
	}
	if messages, _ := origin.Take(); len(messages) != 1 {
		t.Errorf("the server saw %d messages", len(messages))
	}
	strange := accepted(ca, "mail.example.test")
	strange.NextProtos = []string{"acme-tls/1"}
	if _, err := shake(t, p[0], strange); err == nil {
		t.Error("a challenge that is not open was answered")
	}
}

// A name without a port is served at port 443, and port 80 sends there; a process that gives up
// root's rights keeps what is issued as its own.
func TestAutomaticPorts(t *testing.T) {
	const ip = "127.83.84.85" // of this machine, and nobody else's
	for _, port := range []string{"80", "443"} {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
		if err != nil {
			t.Skipf("ports 80 and 443 cannot be opened here: %v", err)
		}
		_ = l.Close()
	}
	options, state := secureOptions(t)
	if os.Geteuid() == 0 {
		open, err := os.MkdirTemp("", "lb") // the test's own are for nobody else
		if err == nil {
			err = os.Chmod(open, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(open) })
		options = strings.Replace(strings.Replace(options, "{\n", "{\n\tuser 65534\n", 1), state, open+"/new/state", 1)
		state = open + "/new/state"
	}
	dns := acmetest.StartDNS(t)
	dns.Host = net.ParseIP(ip)
	ca := acmetest.Start(t, acmetest.Options{HTTPPort: 80, TLSPort: 443, DNS: dns})
	in := e2e.Run(t, options+fmt.Sprintf(`
https://example.test {
	bind %s
	acme ca %s root %s
	respond "secure"
}
`, ip, ca.URL, ca.RootFile))
	var answer string
	if !rig.Until(e2e.Patience, func() bool {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(ip, "80"), e2e.Patience)
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(e2e.Patience))
		_, _ = fmt.Fprintf(c, "POST /a?b=c HTTP/1.1\r\nHost: example.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		answer = string(b[:n])
		return strings.HasPrefix(answer, "HTTP/1.1 308 ")
	}) {
		t.Fatalf("%q\n%s", answer, in.Output())
	}
	if !strings.Contains(strings.ToLower(answer), "\r\nlocation: https://example.test/a?b=c\r\n") {
		t.Errorf("%q", answer)
	}
	var last error
	if !rig.Until(e2e.Patience, func() bool {
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: e2e.Patience}, "tcp", net.JoinHostPort(ip, "443"), accepted(ca, "example.test"))
		if last = err; err == nil {
			_ = c.Close()
		}
		return err == nil
	}) {
		t.Errorf("%v\n%s", last, in.Output())
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := filepath.WalkDir(filepath.Join(state, "acme"), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && owner(info) != 65534 {
			t.Errorf("%s is user %d's", name, owner(info))
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// The example says where its names lead, without a certificate.
func TestExampleAutomaticHTTPS(t *testing.T) {
	t.Parallel()
	file := absolute(t, "automatic-https.lb")
	for url, want := range map[string][]string{
		"http://www.example.com/a?b=c":      {"308", "https://www.example.com/a?b=c"},
		"https://www.example.com/":          {"acme-v02.api.letsencrypt.org (automatic)", "web"},
		"https://a.apps.example.com/":       {"*.apps.example.com", "apps"},
		"https://customers.example.net/":    {"https://:443", "apps"},
		"http://customers.example.net/":     {"308", "https://customers.example.net/"},
		"https://api.corp.example.com/":     {"api.corp.example.com", "api"},
		"http://api.corp.example.com/quiet": {"https://:443"},
	} {
		out, err := exec.Command(e2e.Binary(t), "explain", "-c", file, url).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%s: no %q in\n%s", url, w, out)
			}
		}
	}
}

func owner(i fs.FileInfo) uint32 {
	if s, ok := i.Sys().(*syscall.Stat_t); ok {
		return s.Uid
	}
	return 0
}
