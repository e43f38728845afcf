package main_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

const examplesDir = "../../caddyfile-examples"

// example is one of the files, made to run here: its ports are free ones, and
// each server's address is a server that answers with that address.
type example struct {
	t      *testing.T
	text   string
	ports  map[string]int // as written → as used
	origin map[string]*e2e.Origin
	syslog net.PacketConn
	*e2e.Instance
}

var (
	listens  = regexp.MustCompile(`((?:https?|tcp|tls)://[^:\s]*):(\d+)( \{|,)`)
	servers  = regexp.MustCompile(`(?m)^(\s*server \S+ )(10\.\d+\.\d+\.\d+:\d+)`)
	internal = regexp.MustCompile(`(?m)^(\s*server \S+ 127\.0\.0\.1):(\d+)`)
)

// boot rewrites an example and starts it. Servers named in tlsServers speak TLS.
func boot(t *testing.T, name string, tlsServers ...string) *example {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(examplesDir, name))
	if err != nil {
		t.Fatal(err)
	}
	x := &example{t: t, text: string(b), ports: map[string]int{}, origin: map[string]*e2e.Origin{}}
	var used []int
	x.text = listens.ReplaceAllStringFunc(x.text, func(s string) string {
		m := listens.FindStringSubmatch(s)
		if x.ports[m[2]] == 0 {
			x.ports[m[2]] = e2e.Ports(t, 1)[0]
			used = append(used, x.ports[m[2]])
		}
		return fmt.Sprintf("%s:%d%s", m[1], x.ports[m[2]], m[3])
	})
	x.text = internal.ReplaceAllStringFunc(x.text, func(s string) string {
		m := internal.FindStringSubmatch(s)
		if x.ports[m[2]] == 0 {
			return m[1] + ":1" // a server of the reader's; here nobody listens
		}
		return fmt.Sprintf("%s:%d", m[1], x.ports[m[2]])
	})
	x.text = servers.ReplaceAllStringFunc(x.text, func(s string) string {
		m := servers.FindStringSubmatch(s)
		return m[1] + rig.Addr(x.serverFor(m[2], tlsServers))
	})
	if strings.Contains(x.text, "udp://127.0.0.1:514") {
		if x.syslog, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = x.syslog.Close() })
		x.text = strings.ReplaceAll(x.text, "127.0.0.1:514", x.syslog.LocalAddr().String())
	}
	x.text = strings.ReplaceAll(x.text, "file maintenance.html", "file "+absolute(t, "maintenance.html"))
	x.Instance = e2e.Run(t, x.withAdmin(), used...)
	return x
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	s, err := filepath.Abs(filepath.Join(examplesDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withAdmin gives the process block an admin socket of its own.
func (x *example) withAdmin() string {
	i := strings.Index(x.text, "\n{\n")
	if i < 0 {
		return x.text
	}
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	rest := strings.Replace(x.text[i+3:], "\tadmin unix//run/loadstar/admin.sock\n", "", 1)
	return "{\n\tadmin unix/" + dir + "/admin.sock\n" + rest
}

// serverFor starts the server that stands for an address.
func (x *example) serverFor(addr string, tlsServers []string) int {
	for _, name := range tlsServers {
		if addr != name {
			continue
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, addr) }))
		s.Config.ErrorLog = nil
		s.StartTLS()
		x.t.Cleanup(s.Close)
		a, ok := s.Listener.Addr().(*net.TCPAddr)
		if !ok {
			x.t.Fatal("no TCP address")
		}
		return a.Port
	}
	x.origin[addr] = e2e.NewOrigin(x.t, func(c net.Conn, m *e2e.Message) bool {
		if m.Header.Get("Upgrade") != "" {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"+addr)
			_, _ = io.Copy(c, c)
			return false
		}
		body := addr
		if m.Method == http.MethodHead {
			body = ""
		}
		_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(addr), body)
		return err == nil
	})
	return x.origin[addr].Port
}

// get asks for a URL path of a host at a port as the file has it.
func (x *example) get(port, host, path string, fields ...string) e2e.Answer {
	x.t.Helper()
	c := e2e.Dial(x.t, x.ports[port])
	defer c.Close()
	c.Send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n")
	return c.Answer("GET")
}

// answeredBy asks n times and counts the bodies.
func (x *example) answeredBy(n int, port, host, path string) map[string]int {
	x.t.Helper()
	got := map[string]int{}
	for range n {
		a := x.get(port, host, path)
		if a.Status != http.StatusOK {
			x.t.Errorf("%s%s: %d %q (%v)", host, path, a.Status, a.Body, a.Err)
		}
		got[a.Body]++
	}
	return got
}

func expectShares(t *testing.T, got, want map[string]int) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("answered by %v, want %v", got, want)
	}
}

func TestExampleQuickstart(t *testing.T) {
	t.Parallel()
	x := boot(t, "quickstart.lb")
	one, two := "hello from server one\n", "hello from server two\n"
	expectShares(t, x.answeredBy(10, "8080", "localhost", "/"), map[string]int{one: 5, two: 5})

	if a := x.get("8080", "localhost", "/lb-stats"); a.Status != http.StatusOK || !strings.Contains(a.Body, "Servers of app") {
		t.Errorf("the statistics: %d %.200s", a.Status, a.Body)
	}

	// What its first lines promise: edit, SIGHUP, see it.
	x.Write(e2e.Options(x.Dir) + strings.Replace(x.text, "server two\\n", "somebody else\\n", 1))
	x.Reload()
	if !rig.Until(e2e.Patience, func() bool {
		return strings.Contains(fmt.Sprint(x.answeredBy(2, "8080", "localhost", "/")), "somebody else")
	}) {
		t.Errorf("the change does not show:\n%s", x.Output())
	}
	// A line for each request stands on standard output.
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(x.Output(), `"GET / HTTP/1.1"`) }) {
		t.Errorf("no access log:\n%s", x.Output())
	}
}

func TestExampleArticle(t *testing.T) {
	secure := []string{"10.0.0.7:443", "10.0.0.8:443"}
	x := boot(t, "article.lb", secure...)
	expectShares(t, x.answeredBy(10, "80", "www.example1.com", "/example1"), map[string]int{"10.0.0.1:80": 5, "10.0.0.2:80": 5})
	expectShares(t, x.answeredBy(10, "80", "www.other.com", "/"), map[string]int{"10.0.0.5:80": 5, "10.0.0.6:80": 5})
	for by := range x.answeredBy(4, "80", "www.example2.com", "/example2/a") {
		if by != "10.0.0.3:80" && by != "10.0.0.4:80" {
			t.Errorf("example2 was answered by %s", by)
		}
	}

	// The cookie: set once, heeded afterwards, unseen by the server.
	a := x.get("80", "www.example1.com", "/example1")
	cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	want := map[string]string{"10.0.0.1:80": "SERVERID=server01", "10.0.0.2:80": "SERVERID=server02"}[a.Body]
	if cookie != want {
		t.Errorf("%s set %q, want %q", a.Body, cookie, want)
	}
	for range 5 {
		b := x.get("80", "www.example1.com", "/example1", "Cookie: "+cookie)
		if b.Body != a.Body || b.Header.Get("Set-Cookie") != "" {
			t.Errorf("with %s: %s, %v", cookie, b.Body, b.Header)
		}
	}
	for _, addr := range []string{"10.0.0.1:80", "10.0.0.2:80"} {
		messages, _ := x.origin[addr].Take()
		for _, m := range messages {
			if m.Header.Get("Cookie") != "" {
				t.Errorf("%s saw %s", addr, m.Header.Get("Cookie"))
			}
			if m.Target == "/example1" && m.Header.Get("X-Forwarded-For") != "127.0.0.1" {
				t.Errorf("%s: X-Forwarded-For %q", addr, m.Header.Get("X-Forwarded-For"))
			}
		}
	}

	// The statistics, with the password only.
	if a := x.get("80", "www.example1.com", "/lb-stats"); a.Status != http.StatusUnauthorized {
		t.Errorf("the statistics without a password: %d", a.Status)
	}
	login := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("myusername:"+statsPassword))
	if a := x.get("80", "www.example1.com", "/lb-stats", login); a.Status != http.StatusOK || !strings.Contains(a.Body, "example1_farm") {
		t.Errorf("the statistics: %d %.200s", a.Status, a.Body)
	}

	if by := x.overTLS("443", "www.example1.com"); by != secure[0] && by != secure[1] {
		t.Errorf("TLS was answered by %q", by)
	}
	x.logged("example1_farm/server", "default_farm/server", "tls_farm/server")
}

// logged waits until the syslog receiver has had lines with each of the texts.
func (x *example) logged(texts ...string) {
	x.t.Helper()
	_ = x.syslog.SetReadDeadline(time.Now().Add(e2e.Patience))
	buf := make([]byte, 64<<10)
	for len(texts) > 0 {
		n, _, err := x.syslog.ReadFrom(buf)
		if err != nil {
			x.t.Fatalf("syslog had no line with %q: %v", texts, err)
		}
		line := string(buf[:n])
		// local0 and info are 16*8 + 6 (RFC 3164 §4.1.1); other levels are Loadstar's own words.
		for len(texts) > 0 && strings.Contains(line, texts[0]) {
			if !strings.HasPrefix(line, "<134>") {
				x.t.Errorf("not local0.info: %s", line)
			}
			texts = texts[1:]
		}
	}
}

// overTLS asks a TLS server behind the proxy who it is.
func (x *example) overTLS(port, name string) string {
	x.t.Helper()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: e2e.Patience}, "tcp", rig.Addr(x.ports[port]),
		&tls.Config{ServerName: name, InsecureSkipVerify: true}) // a test's own certificate
	if err != nil {
		return err.Error()
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(e2e.Patience))
	_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name)
	b, _ := io.ReadAll(c)
	_, body, _ := strings.Cut(string(b), "\r\n\r\n")
	return body
}

func TestExampleVirtualHosts(t *testing.T) {
	x := boot(t, "virtual-hosts.lb")
	for _, c := range []struct {
		host, path string
		status     int
		body       string
	}{
		{"shop.example.com:8080", "/img/a", 200, "10.0.1.10:8000"},
		{"SHOP.example.com", "/x.png", 200, "10.0.1.10:8000"},
		{"blog.example.com", "/", 200, "10.0.2.1:8000"},
		{"other.example.com", "/", 404, "there is no other.example.com here\n"},
		{"example.org", "/", 421, "this server does not know that host\n"},
		{"www.example.com", "/a?b=c", 301, ""},
	} {
		a := x.get("8080", c.host, c.path)
		if a.Status != c.status || c.body != "" && a.Body != c.body {
			t.Errorf("%s%s: %d %q, want %d %q", c.host, c.path, a.Status, a.Body, c.status, c.body)
		}
		if c.status == 301 && a.Header.Get("Location") != "http://example.com/a?b=c" {
			t.Errorf("Location: %s", a.Header.Get("Location"))
		}
	}
	for by := range x.answeredBy(4, "8080", "shop.example.com", "/") {
		if by != "10.0.1.1:8000" && by != "10.0.1.2:8000" {
			t.Errorf("the shop was answered by %s", by)
		}
	}
	c := e2e.Dial(t, x.ports["8080"])
	c.Send("POST /admin/users HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 0\r\n\r\n")
	if a := c.Answer("POST"); a.Status != 403 {
		t.Errorf("POST /admin: %d", a.Status)
	}
}

func TestExampleTLSPassthrough(t *testing.T) {
	mail, apps := []string{"10.0.3.1:443", "10.0.3.2:443"}, []string{"10.0.4.1:443", "10.0.4.2:443"}
	x := boot(t, "tls-passthrough-sni.lb", append(append([]string{}, mail...), apps...)...)
	got := map[string]int{}
	for range 4 {
		got[x.overTLS("8443", "mail.example.com")]++
	}
	expectShares(t, got, map[string]int{mail[0]: 2, mail[1]: 2})
	first := x.overTLS("8443", "a.apps.example.com")
	if first != apps[0] && first != apps[1] {
		t.Errorf("an app was answered by %q", first)
	}
	for range 4 {
		if by := x.overTLS("8443", "b.apps.example.com"); by != first {
			t.Errorf("the same client came to %q, then to %q", first, by)
		}
	}
	if by := x.overTLS("8443", "www.example.org"); strings.HasPrefix(by, "10.") {
		t.Errorf("a foreign name was answered by %s", by)
	}
}

func TestExampleWebSocket(t *testing.T) {
	x := boot(t, "websocket.lb")
	c := e2e.Dial(t, x.ports["8080"])
	c.Send(strings.Replace(upgrade, "/ws", "/live/news", 1))
	if a := c.Answer("GET"); a.Status != 101 {
		t.Fatalf("%d (%v)", a.Status, a.Err)
	}
	who := make([]byte, len("10.0.5.1:8000"))
	if _, err := io.ReadFull(c.R, who); err != nil || !strings.HasPrefix(string(who), "10.0.5.") {
		t.Fatalf("%q (%v)", who, err)
	}
	// A reload leaves the tunnel alone.
	x.Reload()
	for i := range 3 {
		text := fmt.Sprintf("message %d", i)
		c.Send(text)
		got := make([]byte, len(text))
		if _, err := io.ReadFull(c.R, got); err != nil || string(got) != text {
			t.Errorf("%q (%v)", got, err)
		}
	}
	expectShares(t, x.answeredBy(4, "8080", "a", "/"), map[string]int{"10.0.5.3:8000": 2, "10.0.5.4:8000": 2})
}

func TestExampleMaintenancePage(t *testing.T) {
	x := boot(t, "maintenance-page.lb")
	expectShares(t, x.answeredBy(4, "8080", "a", "/"), map[string]int{"10.0.6.1:8000": 4})

	// Its only server goes away (nothing listens on port 1): the page stands in.
	x.Write(e2e.Options(x.Dir) + regexp.MustCompile(`server app1 \S+`).ReplaceAllString(x.text, "server app1 127.0.0.1:1"))
	x.Reload()
	var a e2e.Answer
	if !rig.Until(e2e.Patience, func() bool { a = x.get("8080", "a", "/"); return a.Status == 503 }) {
		t.Fatalf("%d %q\n%s", a.Status, a.Body, x.Output())
	}
	if !strings.Contains(a.Body, "<h1>Back soon</h1>") || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%v %q", a.Header, a.Body)
	}
}

func TestExampleEverything(t *testing.T) {
	t.Parallel()
	x := boot(t, "everything.lb")
	for _, c := range []struct {
		port, path string
		status     int
		body       string
	}{
		{"8080", "/healthz", 200, "ok\n"},
		{"8080", "/.git/config", 404, ""},
		{"8080", "/v1/users", 308, ""},
		{"8082", "/", 204, ""},
		{"8083", "/", 204, ""},
	} {
		a := x.get(c.port, "www.example", c.path)
		if a.Status != c.status || c.body != "" && a.Body != c.body {
			t.Errorf("%s%s: %d %q (%v)", c.port, c.path, a.Status, a.Body, a.Err)
		}
		if c.port == "8080" && a.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: the imported snippet left no mark: %v", c.path, a.Header)
		}
	}
	// None of its shop's servers runs: the site's own page stands in.
	if a := x.get("8080", "www.example", "/shoes"); a.Status != 503 || a.Body != "<h1>Back in a minute</h1>" {
		t.Errorf("%d %q", a.Status, a.Body)
	}
	x.logged("GET / HTTP/1.1")
}

func TestExampleBalancing(t *testing.T) {
	x := boot(t, "balancing.lb")
	for _, path := range []string{
		"/turns/", "/fixed/", "/few/", "/fill/", "/drawn/", "/quick/", "/client/", "/cache/a", "/user/?user=7", "/tenant/", "/",
	} {
		if a := x.get("8080", "a", path, "X-Tenant: t", "Cookie: session=s"); a.Status != 200 {
			t.Errorf("%s: %d %q", path, a.Status, a.Body)
		}
	}
	if got := x.answeredBy(8, "8080", "a", "/turns/"); got["10.0.0.1:80"] != 6 || got["10.0.0.2:80"] != 2 {
		t.Errorf("turns by weights 3 and 1: %v", got)
	}
	if got := x.answeredBy(8, "8080", "a", "/client/"); len(got) != 1 {
		t.Errorf("one client, several servers: %v", got)
	}
}

func TestExampleLogging(t *testing.T) {
	x := boot(t, "logging.lb")
	fields := []string{"X-Request-Id: 42", "Cookie: lang=en", "Referer: http://a/?session=SECRET", "User-Agent: tester/1"}
	for _, path := range []string{"/healthz", "/?access_token=SECRET", "/api/x"} {
		if a := x.get("8080", "shop.example", path, fields...); a.Status != 200 {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
	// How many connections there were besides is a matter of timing.
	x.logged(`lang=en - ---- `, `/0 0/0 {shop.example|42} {} "GET /?access_token=*** HTTP/1.1"`, `"GET /api/x HTTP/1.1"`)
	want := regexp.MustCompile(`(?m)^127\.0\.0\.1 - - \[[^]]+\] "GET /\?access_token=\*\*\* HTTP/1\.1" 200 \d+ "http://a/\?session=\*\*\*" "tester/1"\n` +
		`127\.0\.0\.1 - - \[[^]]+\] "GET /api/x HTTP/1\.1" 200 \d+ "http://a/\?session=\*\*\*" "tester/1"\n$`)
	var got []byte
	if !rig.Until(e2e.Patience, func() bool {
		got, _ = os.ReadFile(filepath.Join(filepath.Dir(x.File), "access.log"))
		return want.Match(got)
	}) {
		t.Errorf("combined: %q", got)
	}
	if a := x.get("8081", "shop.example", "/b", fields...); a.Status != 200 {
		t.Errorf("/b: %d", a.Status)
	}
	line := regexp.MustCompile(`127\.0\.0\.1 \S+Z "GET /b HTTP/1\.1" 200 \d+ms "tester/1"`)
	if !rig.Until(e2e.Patience, func() bool { return line.MatchString(x.Output()) }) {
		t.Errorf("template: %s", x.Output())
	}
}

func TestExampleUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: only root can become somebody else")
	}
	x := boot(t, "unprivileged.lb")
	if a := x.get("80", "a", "/"); a.Status != 200 {
		t.Errorf("%d %q", a.Status, a.Body)
	}
	if !strings.Contains(x.Output(), "uid=65534 gid=65534 chroot=/srv") {
		t.Errorf("root's rights were kept:\n%s", x.Output())
	}
	x.logged("GET / HTTP/1.1")
}

// TestExamplesAreTested: a file without a test is a promise nobody keeps.
func TestExamplesAreTested(t *testing.T) {
	tested := []string{"automatic-https.lb", "quickstart.lb", "article.lb", "virtual-hosts.lb", "tls-passthrough-sni.lb", "websocket.lb", "maintenance-page.lb", "everything.lb", "health-checks.lb", "balancing.lb", "https.lb", "http3.lb", "logging.lb", "grpc.lb", "proxy-protocol.lb", "database.lb", "metrics.lb", "unprivileged.lb"}
	files, err := filepath.Glob(filepath.Join(examplesDir, "*.lb"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(tested) {
		t.Errorf("%d examples, %d of them tested: %v", len(files), len(tested), files)
	}
	for _, name := range tested {
		if _, err := os.Stat(filepath.Join(examplesDir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestExampleMetrics(t *testing.T) {
	x := boot(t, "metrics.lb")
	for range 3 {
		if a := x.get("8080", "a", "/"); a.Status != 200 {
			t.Fatalf("%d %q", a.Status, a.Body)
		}
	}
	exchanges := func(line string) bool {
		a := x.get("9180", "127.0.0.1", "/metrics")
		return a.Status == 200 && strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain; version=0.0.4") && strings.Contains(a.Body, line)
	}
	if !rig.Until(e2e.Patience, func() bool { return exchanges(`loadstar_pool_exchanges_total{pool="web",code="2xx"} 3`) }) {
		t.Error(x.get("9180", "127.0.0.1", "/metrics").Body)
	}
	if !rig.Until(e2e.Patience, func() bool { return exchanges(`loadstar_server_state{pool="web",server="two",state="up"} 1`) }) {
		t.Error(x.get("9180", "127.0.0.1", "/metrics").Body)
	}
	if a := x.get("9180", "127.0.0.1", "/"); a.Status == 200 {
		t.Errorf("another path: %d", a.Status)
	}
}
