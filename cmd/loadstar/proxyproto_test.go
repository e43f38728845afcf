package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

const office = "PROXY TCP4 192.0.2.7 10.0.0.1 4444 80\r\n"

// printed waits until the program has printed each of the texts.
func printed(t *testing.T, in *e2e.Instance, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !rig.Until(e2e.Patience, func() bool { return strings.Contains(in.Output(), text) }) {
			t.Errorf("nothing of %q in:\n%s", text, in.Output())
		}
	}
}

// checked gives what `loadstar check` finds in a configuration.
func checked(t *testing.T, config string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Lbfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(e2e.Binary(t), "check", "--config", file).CombinedOutput()
	return string(out)
}

// TestExampleProxyProtocol: the example says who the client is.
func TestExampleProxyProtocol(t *testing.T) {
	x := boot(t, "proxy-protocol.lb")
	c := e2e.Dial(t, x.ports["8080"])
	c.Send(office + "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /again HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for range 2 {
		if a := c.Answer("GET"); a.Status != 200 || a.Body != "hello, colleague at 192.0.2.7\n" {
			t.Errorf("%+v", a)
		}
	}
	printed(t, x.Instance, "192.0.2.7:4444 ")

	// Another client is passed on, with his address.
	c = e2e.Dial(t, x.ports["8080"])
	c.Send("PROXY TCP6 2001:db8::9 ::1 4444 80\r\nGET /seen HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if a := c.Answer("GET"); a.Status != 200 {
		t.Fatalf("%+v", a)
	}
	seen := false
	for _, o := range x.origin {
		messages, _ := o.Take()
		for _, m := range messages {
			if m.Target == "/seen" {
				seen = true
				if got := m.Header.Get("X-Forwarded-For"); got != "2001:db8::9" {
					t.Errorf("X-Forwarded-For: %s", got)
				}
			}
		}
	}
	if !seen {
		t.Error("no server has got it")
	}

	// Without a header there is no answer.
	c = e2e.Dial(t, x.ports["8080"])
	c.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if !c.Closed() {
		t.Error("a sender without a header is answered")
	}
	printed(t, x.Instance, "PROXY header refused")
}

// TestExampleProxyProtocolOut: the mail servers of the example are told of the client
// that a header told of.
func TestExampleProxyProtocolOut(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 64)
	l := listenFor(t, func(c net.Conn) {
		b := make([]byte, 512)
		n, _ := c.Read(b)
		heard <- string(b[:n])
	})
	text, err := os.ReadFile(filepath.Join(examplesDir, "proxy-protocol.lb"))
	if err != nil {
		t.Fatal(err)
	}
	p := e2e.Ports(t, 2)
	config := strings.NewReplacer(":8080", fmt.Sprintf(":%d", p[0]), ":8993", fmt.Sprintf(":%d", p[1]), "10.0.2.1:993", l, "10.0.2.2:993", l).Replace(string(text))
	e2e.Run(t, config, p...)
	told := map[string]bool{}
	if !rig.Until(e2e.Patience, func() bool {
		c := e2e.Dial(t, p[1])
		defer c.Close()
		c.Send("PROXY TCP4 192.0.2.7 198.51.100.1 4444 993\r\n")
		for {
			select {
			case h := <-heard:
				switch {
				case h == "PROXY TCP4 192.0.2.7 198.51.100.1 4444 993\r\n":
					told["v1"] = true
				case h == "PROXY UNKNOWN\r\n":
					told["v1 probe"] = true
				case strings.HasPrefix(h, "\r\n\r\n\x00\r\nQUIT\n\x20"):
					told["v2 probe"] = true
				case strings.HasPrefix(h, "\r\n\r\n\x00\r\nQUIT\n\x21\x11") && strings.Contains(h, "\xc0\x00\x02\x07\xc6\x33\x64\x01\x11\x5c\x03\xe1\x05"):
					told["v2"] = true
				}
			case <-time.After(50 * time.Millisecond):
				return len(told) == 4
			}
		}
	}) {
		t.Errorf("only %v", told)
	}
}

// listenFor serves connections one by one and closes them.
func listenFor(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(e2e.Patience))
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// TestProxyProtocolDisagreement: the sites of a port must say the same.
func TestProxyProtocolDisagreement(t *testing.T) {
	found := checked(t, `http://a.example:8080 {
	proxy_protocol from 10.0.0.0/8
	respond "a"
}
http://b.example:8080 {
	respond "b"
}
`)
	if !strings.Contains(found, "[proxy-protocol-conflict]") {
		t.Error(found)
	}
}
