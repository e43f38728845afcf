package main_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// varying is what two runs of one request differ in: client port, date, timers.
var varying = regexp.MustCompile(`127\.0\.0\.1:\d+ \[[^]]+\] (\S+) (\S+) [-\d/]+ (.*)`)

// TestOracleLogging: HAProxy and Loadstar log the same requests to the same server;
// with captures of headers and cookies each field that can be equal is.
func TestOracleLogging(t *testing.T) {
	bin := haproxyPath(t)
	origin := e2e.NewOrigin(t, func(c net.Conn, _ *e2e.Message) bool {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Res: a\r\nX-Res: {b|c}\"\r\nSet-Cookie: lang=de; Path=/\r\n\r\nhi")
		return err == nil
	})
	ports := e2e.Ports(t, 2)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf(`global
 log stdout format raw local0
defaults
 mode http
 log global
 option httplog
 option dontlognull
 timeout client 20s
 timeout server 10s
 timeout connect 5s
frontend web
 bind 127.0.0.1:%d
 capture request header Host len 10
 capture request header X-Cap len 64
 capture response header X-Res len 64
 capture cookie lang len 32
 http-request deny if { path /deny }
 default_backend farm
backend farm
 server s1 127.0.0.1:%d
`, ports[0], origin.Port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, err := rig.Start(exec.Command(bin, "-db", "-f", file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Stop(time.Second) })
	if err := theirs.Answers(10*time.Second, rig.Addr(ports[0])); err != nil {
		t.Fatal(err)
	}
	ours := e2e.Run(t, fmt.Sprintf(`http://:%d {
	bind 127.0.0.1
	log stdout format httplog
	capture request header Host len 10 header X-Cap len 64
	capture response header X-Res len 64
	capture cookie lang len 32
	forwardfor off
	deny /deny 403
	proxy farm
}
pool farm {
	server s1 127.0.0.1:%d
}
`, ports[1], origin.Port), ports[1])
	for i, fields := range []string{
		"Host: a\r\n", "Host: www.example.com\r\nX-Cap: one\r\nX-Cap: \"two\" {|}#\r\n",
		"Host: a\r\nCookie: x=1; lang=en; y=2\r\n", "Host: a\r\nCookie: lang=" + strings.Repeat("e", 100) + "\r\n",
		"Host: a\r\nX-Cap: " + strings.Repeat("c", 100) + "\r\nCookie: other=1\r\n",
	} {
		for _, path := range []string{"/", "/deny"} {
			request := fmt.Sprintf("%s?n=%d", path, i)
			var got [2]string
			for side, output := range []func() string{theirs.Output, ours.Output} {
				c := e2e.Dial(t, ports[side])
				c.Send("GET " + request + " HTTP/1.1\r\n" + fields + "\r\n")
				_ = c.Answer("GET")
				c.Close()
				if !rig.Until(e2e.Patience, func() bool {
					for line := range strings.Lines(output()) {
						if m := varying.FindStringSubmatch(strings.TrimSpace(line)); m != nil && strings.HasSuffix(m[3], ` "GET `+request+` HTTP/1.1"`) {
							got[side] = m[2] + " " + m[3] // m[1], the site's name, is an address with us
							return true
						}
					}
					return false
				}) {
					t.Fatalf("%s has no line of %s: %s", sides[side], request, output())
				}
			}
			for side := range got { // a server's answer has each product's own fields around it, and so other lengths
				f := strings.Fields(got[side])
				f[2] = "bytes"
				// HAProxy lets go of pool and server before it logs a small answer, and
				// counts them then; we count the exchange in.
				n := strings.Split(f[6], "/")
				f[6] = n[0] + "/" + n[1] + "/" + n[4]
				if path == "/deny" { // the site's name again
					f[0] = "site/<NOSRV>"
				}
				got[side] = strings.Join(f, " ")
			}
			if got[0] != got[1] {
				t.Errorf("%q\nHAProxy  %s\nLoadstar %s", fields, got[0], got[1])
			}
		}
	}
}
