package main_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// The first messages of PostgreSQL's protocol.
const (
	sslRequest    = "\x00\x00\x00\x08\x04\xd2\x16\x2f"
	gssRequest    = "\x00\x00\x00\x08\x04\xd2\x16\x30"
	cancelRequest = "\x00\x00\x00\x10\x04\xd2\x16\x2e12345678"
	startup       = "\x00\x00\x00\x08\x00\x03\x00\x00"
)

// database is a server that begins as PostgreSQL does and then answers a line with
// its name, how it is spoken to, and the line.
func database(t *testing.T, name string, cert *tls.Certificate) (addr string) {
	return listenFor(t, func(c net.Conn) {
		first := make([]byte, 8)
		if _, err := io.ReadFull(c, first); err != nil {
			return
		}
		how := "clear"
		if string(first) == sslRequest {
			if cert == nil {
				_, _ = io.WriteString(c, "N")
				return
			}
			_, _ = io.WriteString(c, "S")
			how, c = "tls", tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*cert}})
			if _, err := io.ReadFull(c, first); err != nil {
				return
			}
		}
		line, _ := bufio.NewReader(c).ReadString('\n')
		_, _ = fmt.Fprintf(c, "%s %s %x %s", name, how, first[4:], line)
		if t, ok := c.(*tls.Conn); ok {
			_ = t.CloseWrite()
		}
	})
}

// asksForTLS begins as libpq does, in pieces, and gives what to go on with.
func asksForTLS(t *testing.T, c *e2e.Client, cfg *tls.Config, first ...string) *tls.Conn {
	t.Helper()
	for _, request := range append(first, sslRequest) {
		for _, piece := range []string{request[:1], request[1:5], request[5:]} {
			c.Send(piece)
			time.Sleep(time.Millisecond)
		}
		want := byte('S')
		if request == gssRequest {
			want = 'N'
		}
		if got, err := c.R.ReadByte(); got != want || err != nil {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}
	return tls.Client(c.Conn, cfg)
}

func says(c io.ReadWriter, text string) string {
	_, _ = io.WriteString(c, text)
	all, _ := io.ReadAll(c)
	return string(all)
}

// TestStartTLS routes clients of PostgreSQL by the name in their hello, and
// terminates TLS for others.
func TestStartTLS(t *testing.T) {
	t.Parallel()
	ca := newIssuer(t)
	dir := t.TempDir()
	ca.pair(t, dir+"/crt", dir+"/key", "a.example", "b.example", "127.0.0.1")
	cert, err := tls.LoadX509KeyPair(dir+"/crt", dir+"/key")
	if err != nil {
		t.Fatal(err)
	}
	rootFile := filepath.Join(dir, "root.pem")
	if err := os.WriteFile(rootFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.root.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	a, b, plain := database(t, "a", &cert), database(t, "b", &cert), database(t, "plain", nil)
	p := e2e.Ports(t, 3)
	in := e2e.Run(t, fmt.Sprintf(`tcp://:%d {
	starttls postgres
	@a sni a.example
	@none sni refuses.example
	proxy @a %s
	proxy @none %s {
		retry 0
	}
	proxy %s
}
tls://a.example:%d {
	tls %s/crt %s/key
	starttls postgres
	proxy %s
}
tls://b.example:%d {
	tls %s/crt %s/key
	starttls postgres
	proxy secure
}
pool secure {
	tls ca %s name b.example
	server b %s
}
`, p[0], a, plain, b, p[1], dir, dir, plain, p[2], dir, dir, rootFile, b), p...)

	client := func(name string) *tls.Config { return &tls.Config{RootCAs: ca.pool, ServerName: name} }
	const line = "hello\n"
	const session = "00030000"
	for _, c := range []struct {
		what, name string
		port       int
		first      []string
		want       string
	}{
		{"by name", "a.example", p[0], nil, "a tls " + session + " hello\n"},
		{"by default", "b.example", p[0], nil, "b tls " + session + " hello\n"},
		{"GSSAPI first", "a.example", p[0], []string{gssRequest}, "a tls " + session + " hello\n"},
		{"terminated", "a.example", p[1], nil, "plain clear " + session + " hello\n"},
		{"terminated, and again to the server", "b.example", p[2], nil, "b tls " + session + " hello\n"},
		{"the server refuses", "refuses.example", p[0], nil, ""},
	} {
		secure := asksForTLS(t, e2e.Dial(t, c.port), client(c.name), c.first...)
		if got := says(secure, startup+line); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}

	// Who begins with the hello at once is not asked, and nor is the server: this
	// one then takes the hello for what it does not know.
	if direct := says(tls.Client(e2e.Dial(t, p[1]).Conn, client("a.example")), startup+line); direct != "plain clear "+session+" hello\n" {
		t.Errorf("direct: %q", direct)
	}
	// In clear, a session and a request to cancel one pass through.
	if got := says(e2e.Dial(t, p[0]), startup+line); got != "b clear "+session+" hello\n" {
		t.Errorf("in clear: %q", got)
	}
	if got := says(e2e.Dial(t, p[0]), cancelRequest+"\n"); got != "b clear 04d2162e 12345678\n" {
		t.Errorf("cancel: %q", got)
	}
	// Where TLS is terminated, it is refused in PostgreSQL's own words.
	if got := says(e2e.Dial(t, p[1]), startup); !strings.HasPrefix(got, "E\x00\x00\x00") || !strings.Contains(got, "C28000\x00") {
		t.Errorf("in clear: %q", got)
	}
	printed(t, in, "no TLS was agreed on")
	if n := strings.Count(in.Output(), "no TLS was agreed on"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// TestStartTLSDisagreement: the tls sites of a port must say the same.
func TestStartTLSDisagreement(t *testing.T) {
	found := checked(t, `tls://a.localhost:5433 {
	tls internal
	starttls postgres
	proxy 127.0.0.1:9
}
tls://b.localhost:5433 {
	tls internal
	proxy 127.0.0.1:9
}
`)
	if !strings.Contains(found, "[starttls-conflict]") {
		t.Error(found)
	}
}

// TestExampleDatabase: each pool of the example is reached as it says.
func TestExampleDatabase(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(examplesDir, "database.lb"))
	if err != nil {
		t.Fatal(err)
	}
	ca := newIssuer(t)
	dir := t.TempDir()
	ca.pair(t, dir+"/crt", dir+"/key", "orders.db.example.com", "reports.db.example.com")
	cert, err := tls.LoadX509KeyPair(dir+"/crt", dir+"/key")
	if err != nil {
		t.Fatal(err)
	}
	options, _ := secureOptions(t)
	p := e2e.Ports(t, 3)
	config := options + strings.NewReplacer(
		":5432 {", fmt.Sprintf(":%d {", p[0]), ":5433 {", fmt.Sprintf(":%d {", p[1]), ":3306 {", fmt.Sprintf(":%d {", p[2]),
		"10.0.5.1:5432", database(t, "primary", &cert), "10.0.5.2:5432", database(t, "standby", &cert),
		"10.0.6.1:5432", database(t, "replica", &cert), "10.0.6.2:5432", database(t, "replica", &cert),
		"10.0.7.1:3306", listenFor(t, func(c net.Conn) { _, _ = io.WriteString(c, "greeting") }), "10.0.7.2:3306", listenFor(t, func(c net.Conn) { _, _ = io.WriteString(c, "greeting") }),
		"health pgsql user loadstar", "health tcp", "health mysql user loadstar", "health tcp",
		":5432\n", fmt.Sprintf(":%d\n", p[0]),
	).Replace(string(text))
	e2e.Run(t, config, p...)
	for name, want := range map[string]string{"orders.db.example.com": "primary tls", "reports.db.example.com": "replica tls"} {
		secure := asksForTLS(t, e2e.Dial(t, p[0]), &tls.Config{RootCAs: ca.pool, ServerName: name})
		if got := says(secure, startup+"x\n"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	secure := asksForTLS(t, e2e.Dial(t, p[1]), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	if got := says(secure, startup+"x\n"); !strings.HasPrefix(got, "replica clear") {
		t.Errorf("terminated: %q", got)
	}
	if got := says(e2e.Dial(t, p[2]), ""); got != "greeting" {
		t.Errorf("mysql: %q", got)
	}
}
