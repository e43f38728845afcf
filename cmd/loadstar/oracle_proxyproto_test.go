package main_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// haproxyWith runs HAProxy with a configuration and waits for its ports.
func haproxyWith(t *testing.T, config string, ports ...int) *rig.Process {
	t.Helper()
	bin := haproxyPath(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	head := "global\n log stdout format raw local0\ndefaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 5s\n"
	if err := os.WriteFile(file, []byte(head+config), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := rig.Start(exec.Command(bin, "-db", "-f", file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Stop(time.Second)
		if t.Failed() {
			t.Logf("HAProxy printed:\n%s", p.Output())
		}
	})
	addrs := make([]string, len(ports))
	for i, port := range ports {
		addrs[i] = rig.Addr(port)
	}
	if err := p.Answers(10*time.Second, addrs...); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOracleProxyProtocolIn: what HAProxy sends is understood, over HTTP/1, TLS and
// plain streams.
func TestOracleProxyProtocolIn(t *testing.T) {
	p := e2e.Ports(t, 8)
	options, state := secureOptions(t)
	const say = "respond \"{client.ip}:{client.port} {proxy.authority} {proxy.unique_id} {proxy.tls.version}\\n\""
	e2e.Run(t, options+fmt.Sprintf(`http://:%d {
	proxy_protocol from 127.0.0.0/8
	%s
}
https://localhost:%d {
	proxy_protocol from 127.0.0.0/8
	tls internal
	%s
}
tcp://:%d {
	proxy_protocol from 127.0.0.0/8
	proxy 127.0.0.1:%d
}
`, p[0], say, p[1], say, p[2], p[7]), p[0], p[1], p[2])
	root, key := state+"/internal/root.crt", state+"/internal/root.key"
	both := filepath.Join(t.TempDir(), "both.pem")
	var pair []byte
	for _, f := range []string{root, key} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pair = append(pair, b...)
	}
	if err := os.WriteFile(both, pair, 0o600); err != nil {
		t.Fatal(err)
	}
	haproxyWith(t, fmt.Sprintf(`listen v1
 bind 127.0.0.1:%d
 server s 127.0.0.1:%d send-proxy
listen v2
 bind 127.0.0.1:%d
 unique-id-format id-%%pid
 server s 127.0.0.1:%d send-proxy-v2 proxy-v2-options crc32c,unique-id
listen secure
 mode tcp
 bind 127.0.0.1:%d
 server s 127.0.0.1:%d send-proxy-v2
listen facts
 bind 127.0.0.1:%d ssl crt %s
 server s 127.0.0.1:%d send-proxy-v2-ssl-cn proxy-v2-options crc32c,authority
`, p[3], p[0], p[4], p[0], p[5], p[1], p[6], both, p[0]), p[3], p[4], p[5], p[6])

	ask := func(port int, version string, want string) {
		t.Helper()
		c := e2e.Dial(t, port)
		c.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		a := c.Answer("GET")
		if got, want := a.Body, c.LocalAddr().String()+want; a.Status != 200 || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %d %q, want %q", version, a.Status, got, want)
		}
	}
	ask(p[3], "v1", "   \n")
	ask(p[4], "v2", "  id-")

	insecure := trusting(t, root, "localhost")
	c, err := shake(t, p[5], insecure)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if status, body := answerOn(c); status != http.StatusOK || !strings.HasPrefix(body, c.LocalAddr().String()) {
		t.Errorf("before TLS: %d %q", status, body)
	}

	insecure.InsecureSkipVerify = true
	insecure.ServerName = "asked.example"
	if c, err = shake(t, p[6], insecure); err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if status, body := answerOn(c); status != http.StatusOK || body != c.LocalAddr().String()+" asked.example  TLSv1.3\n" {
		t.Errorf("facts: %d %q", status, body)
	}
}

// TestOracleProxyProtocolOut: HAProxy understands what is sent, and so tells whom it
// takes the client for; probes say that they are nobody's.
func TestOracleProxyProtocolOut(t *testing.T) {
	p := e2e.Ports(t, 7)
	const say = ` http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst_port] %[fc_pp_authority] %[fc_pp_unique_id] %[uuid()]"` + "\n"
	options, state := secureOptions(t)
	hap := haproxyWith(t, fmt.Sprintf("frontend told\n bind 127.0.0.1:%d accept-proxy\n log global\n log-format \"probe %%ci %%HU\"\n", p[0])+say+
		fmt.Sprintf("frontend told2\n bind 127.0.0.1:%d accept-proxy proto h2\n", p[6])+say)
	if err := hap.Answers(10*time.Second, rig.Addr(p[0])); err != nil {
		t.Fatal(err)
	}
	in := e2e.Run(t, options+fmt.Sprintf(`http://:%d {
	proxy one
}
http://:%d {
	proxy two
}
https://localhost:%d {
	tls internal
	proxy two
}
tcp://:%d {
	proxy one
}
http://:%d {
	proxy three
}
pool three {
	protocol h2c
	proxy_protocol v2
	server s 127.0.0.1:%d
}
pool one {
	health http GET /probe interval 100ms
	proxy_protocol v1
	server s 127.0.0.1:%d
}
pool two {
	health http GET /probe interval 100ms
	server s 127.0.0.1:%d proxy_protocol v2 authority unique_id crc32c
}
`, p[1], p[2], p[3], p[4], p[5], p[6], p[0], p[0]), p[1:6]...)

	words := func(a e2e.Answer) []string {
		t.Helper()
		w := strings.Split(a.Body, " ")
		if a.Status != 200 || len(w) != 5 {
			t.Fatalf("%+v", a)
		}
		return w
	}
	for i, port := range []int{p[1], p[2], p[4], p[5]} {
		for range 2 { // another client on the same server
			c := e2e.Dial(t, port)
			for range 2 {
				c.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
				w := words(c.Answer("GET"))
				if w[0] != c.LocalAddr().String() || w[1] != fmt.Sprint(port) {
					t.Errorf("%d: it takes the client %s for %s, at %s", i, c.LocalAddr(), w[0], w[1])
				}
				if id := w[3]; (id == "") != (port != p[2]) {
					t.Errorf("%d: unique id %q", i, id)
				}
			}
			c.Close()
		}
	}
	secure, err := shake(t, p[3], trusting(t, state+"/internal/root.crt", "localhost"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprint(secure, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	status, body := answerOn(secure)
	if want := fmt.Sprintf("%s %d localhost ", secure.LocalAddr(), p[3]); status != 200 || !strings.HasPrefix(body, want) {
		t.Errorf("over TLS: %d %q, want %q", status, body, want)
	}
	if !rig.Until(e2e.Patience, func() bool { return strings.Count(hap.Output(), "probe 127.0.0.1 /probe") >= 4 }) {
		t.Errorf("probes do not arrive:\n%s", hap.Output())
	}
	if strings.Contains(in.Output(), "DOWN") {
		t.Errorf("probes fail:\n%s", in.Output())
	}
}
