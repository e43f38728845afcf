package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
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

// Other parsers of HTTP/1.1 than net/http, which the recording origin has: a
// message that we forward is one message, and the same, to each of them.

// reading is what a parser makes of a message. Body is "-" if it does not tell.
type reading struct{ Method, Target, Host, Body string }

// parser is a server that answers with what it has read.
type parser struct {
	name string
	port int
}

// parsers starts those that are installed; the others are named in the log.
func parsers(t *testing.T) []parser {
	t.Helper()
	var all []parser
	for _, start := range []func(*testing.T) (parser, error){startNode, startNginx} {
		p, err := start(t)
		if err != nil {
			t.Logf("SKIP: %s reads nothing: %v", p.name, err)
			continue
		}
		all = append(all, p)
	}
	return all
}

// nodeScript is a server on llhttp.
const nodeScript = `
const server = require("http").createServer((req, res) => {
  const parts = [];
  req.on("data", (part) => parts.push(part));
  req.on("end", () => {
    const text = Buffer.from(JSON.stringify({
      Method: req.method, Target: req.url, Host: req.headers.host || "", Body: Buffer.concat(parts).toString("latin1"),
    }));
    res.writeHead(200, { "Content-Length": text.length });
    res.end(text);
  });
});
server.listen(Number(process.argv[1]), "127.0.0.1");
`

func startNode(t *testing.T) (parser, error) {
	p := parser{name: "node"}
	node, err := exec.LookPath("node")
	if err != nil {
		return p, err
	}
	p.port = e2e.Ports(t, 1)[0]
	return p, startParser(t, p.port, exec.Command(node, "-e", nodeScript, fmt.Sprint(p.port)))
}

func startNginx(t *testing.T) (parser, error) {
	p := parser{name: "nginx"}
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		return p, err
	}
	p.port = e2e.Ports(t, 1)[0]
	dir := t.TempDir()
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	text := fmt.Sprintf(`%[1]s daemon off; pid %[2]s/pid; error_log stderr crit; worker_processes 1;
events { worker_connections 512; }
http {
	access_log off; client_body_temp_path %[2]s/a; proxy_temp_path %[2]s/b; fastcgi_temp_path %[2]s/c; uwsgi_temp_path %[2]s/d; scgi_temp_path %[2]s/e;
	server { listen 127.0.0.1:%[3]d; location / { return 200 "$request_method\n$request_uri\n$host"; } }
}
`, user, dir, p.port)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return p, err
	}
	return p, startParser(t, p.port, exec.Command(nginx, "-c", file, "-p", dir))
}

func startParser(t *testing.T, port int, cmd *exec.Cmd) error {
	proc, err := rig.Start(cmd)
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = proc.Stop(time.Second) })
	return proc.Answers(e2e.Patience, rig.Addr(port))
}

// agrees sends a forwarded message, and a request behind it that must be seen as
// the second one. A parser may refuse the message if it ends the connection
// then: what is not read cannot be misread.
func (p parser) agrees(m e2e.Message) error {
	c, err := net.Dial("tcp", rig.Addr(p.port))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(e2e.Patience))
	_, _ = io.WriteString(c, m.Raw+"GET /second HTTP/1.1\r\nHost: second.example\r\nConnection: close\r\n\r\n")
	br := bufio.NewReader(c)
	var all []reading
	for {
		res, err := http.ReadResponse(br, &http.Request{Method: http.MethodGet})
		if err != nil {
			break
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusContinue {
			continue
		}
		if res.StatusCode != http.StatusOK {
			if len(all) > 0 {
				return fmt.Errorf("%w: %s answers %d behind %d messages in %q", errDisagree, p.name, res.StatusCode, len(all), m.Raw)
			}
			return nil
		}
		all = append(all, p.read(body))
	}
	want := reading{m.Method, m.Target, m.Host, m.Body}
	if len(all) != 2 || all[1].Target != "/second" || !p.same(all[0], want) {
		return fmt.Errorf("%w: %s reads %q of %q", errDisagree, p.name, all, m.Raw)
	}
	return nil
}

var errDisagree = errors.New("parsers disagree")

func (p parser) read(body []byte) (r reading) {
	if p.name == "node" {
		_ = json.Unmarshal(body, &r)
		return r
	}
	part := strings.SplitN(string(body), "\n", 3)
	if len(part) == 3 {
		r = reading{part[0], part[1], part[2], "-"}
	}
	return r
}

// same compares as far as a parser tells: nginx lowers the host and leaves out its
// port, and node's text is Latin-1.
func (p parser) same(got, want reading) bool {
	if got.Body != "-" && got.Body != latin1(want.Body) {
		return false
	}
	if p.name == "nginx" {
		host, _, _ := strings.Cut(want.Host, ":")
		return got.Method == want.Method && got.Target == want.Target && strings.EqualFold(got.Host, host)
	}
	return got.Method == want.Method && got.Target == latin1(want.Target) && got.Host == latin1(want.Host)
}

func latin1(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

// TestParsersNoticeDifferences: messages that parsers do read differently must not
// pass for agreed upon.
func TestParsersNoticeDifferences(t *testing.T) {
	for _, p := range parsers(t) {
		for name, m := range map[string]e2e.Message{
			"another target": {Method: "GET", Target: "/a", Host: "h.example", Raw: "GET /b HTTP/1.1\r\nHost: h.example\r\n\r\n"},
			"another host":   {Method: "GET", Target: "/a", Host: "h.example", Raw: "GET /a HTTP/1.1\r\nHost: i.example\r\n\r\n"},
			"two messages": {Method: "GET", Target: "/a", Host: "h.example",
				Raw: "GET /a HTTP/1.1\r\nHost: h.example\r\n\r\nGET /b HTTP/1.1\r\nHost: h.example\r\n\r\n"},
			"another method": {Method: "GET", Target: "/a", Host: "h.example", Raw: "POST /a HTTP/1.1\r\nHost: h.example\r\nContent-Length: 0\r\n\r\n"},
		} {
			if p.agrees(m) == nil {
				t.Errorf("%s: %s: passed", p.name, name)
			}
		}
		good := e2e.Message{Method: "POST", Target: "/a?b=c", Host: "h.example", Body: "hello",
			Raw: "POST /a?b=c HTTP/1.1\r\nHost: h.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}
		if err := p.agrees(good); err != nil {
			t.Error(err)
		}
	}
}
