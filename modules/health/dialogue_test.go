package health

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// line makes the script of a server: what it says, and what it must be
// told before it goes on. What it is told is compared byte by byte.
type line struct{ say, hear string }

// dialogue plays a server; what it heard against the script comes on the channel.
func dialogue(t *testing.T, script []line) (*Target, <-chan string) {
	wrong := make(chan string, 1)
	return listen(t, func(c net.Conn) {
		defer close(wrong)
		for _, l := range script {
			if _, err := io.WriteString(c, l.say); err != nil {
				wrong <- err.Error()
				return
			}
			b := make([]byte, len(l.hear))
			if n, err := io.ReadFull(c, b); string(b) != l.hear {
				wrong <- fmt.Sprintf("%q instead of %q (%v)", b[:n], l.hear, err)
				return
			}
		}
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}), wrong
}

const (
	mysqlGreeting = "\x4a\x00\x00\x00\x0a8.0.36\x00\x01\x00\x00\x00aaaaaaaa\x00\xff\xf7\x21\x02\x00\xff\x81\x15" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00aaaaaaaaaaaa\x00mysql_native_password\x00"
	mysqlLogin = "\x40\x00\x00\x01\x01\x82\x08\x00\xff\xff\xff\x00\x21" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"loadstar\x00\x00mysql_native_password\x00"
	mysqlOK    = "\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"
	pgsqlStart = "\x00\x00\x00\x17\x00\x03\x00\x00user\x00loadstar\x00\x00"
	redisAuth  = "*2\r\n$4\r\nAUTH\r\n$6\r\nse\r\nct\r\n"
	redisPing  = "*1\r\n$4\r\nPING\r\n"
)

func TestDialogues(t *testing.T) {
	pg := []string{"pgsql", "--user", "loadstar"}
	my := []string{"mysql", "--user", "loadstar"}
	for _, c := range []struct {
		name   string
		probe  []string
		script []line
		want   string
	}{
		{"tcp script", []string{"tcp", "--expect", "hello", "--send", `PI\x4eG\r\n`, "--expect", `~\+P.NG\r\n`, "--send", "QUIT", "--expect", "OK"},
			[]line{{"why, hello there", "PING\r\n"}, {"junk +PO", ""}, {"NG\r\n", "QUIT"}, {"OK", ""}}, "Layer7 check passed"},
		{"tcp script in one piece", []string{"tcp", "--expect", "a", "--expect", "b", "--expect", "c"},
			[]line{{"xaxbxc", ""}}, "Layer7 check passed"},
		{"tcp script out of order", []string{"tcp", "--expect", "b", "--expect", "a"},
			[]line{{"ab", ""}}, "Layer7 invalid response, info: \"did not match content 'a' at step 2\""},
		{"tcp script closed", []string{"tcp", "--expect", "~^x+$"},
			[]line{{"yyy", ""}}, "Layer7 invalid response, info: \"did not match content '~^x+$' at step 1\""},
		{"smtp", []string{"smtp", "HELO", "localhost"},
			[]line{{"220 mx ready\r\n", "HELO localhost\r\n"}, {"250 hello you\r\n", "QUIT\r\n"}, {"221 bye\r\n", ""}},
			`Layer7 check passed, code: 250, info: "hello you"`},
		{"smtp ehlo", []string{"smtp", "EHLO", "lb.example.com"},
			[]line{{"220-mx\r\n220 ready\r\n", "EHLO lb.example.com\r\n"}, {"250-mx\r\n250-SIZE\r\n250 HELP\r\n", "QUIT\r\n"}},
			`Layer7 check passed, code: 250, info: "HELP"`},
		{"smtp busy", []string{"smtp", "HELO", "localhost"}, []line{{"421 too many\r\n", ""}}, `Layer7 wrong status, code: 421, info: "too many"`},
		{"smtp refuses", []string{"smtp", "HELO", "localhost"}, []line{{"220\r\n", "HELO localhost\r\n"}, {"501 who?\r\n", ""}}, `Layer7 wrong status, code: 501, info: "who?"`},
		{"smtp is ssh", []string{"smtp", "HELO", "localhost"}, []line{{"SSH-2.0-x\r\n", ""}}, `Layer7 invalid response, info: "SSH-2.0-x"`},
		{"redis", []string{"redis"}, []line{{"", redisPing}, {"+PONG\r\n", ""}}, `Layer7 check passed, info: "Redis server is ok"`},
		{"redis password", []string{"redis", "--password", "se\r\nct"}, []line{{"", redisAuth}, {"+OK\r\n", redisPing}, {"+PONG\r\n", ""}},
			`Layer7 check passed, info: "Redis server is ok"`},
		{"redis wrong password", []string{"redis", "--password", "se\r\nct"}, []line{{"", redisAuth}, {"-WRONGPASS no\r\n", ""}},
			`Layer7 wrong status, info: "WRONGPASS no"`},
		{"redis wants one", []string{"redis"}, []line{{"", redisPing}, {"-NOAUTH Authentication required.\r\n", ""}},
			`Layer7 wrong status, info: "NOAUTH Authentication required."`},
		{"redis is http", []string{"redis"}, []line{{"", redisPing}, {"HTTP/1.1 400\r\n", ""}}, `Layer7 invalid response, info: "HTTP/1.1 400"`},
		{"pgsql", pg, []line{{"", pgsqlStart}, {"R\x00\x00\x00\x08\x00\x00\x00\x0a", "X\x00\x00\x00\x04"}}, `Layer7 check passed, info: "PostgreSQL server is ok"`},
		{"pgsql no such user", pg, []line{{"", pgsqlStart}, {"E\x00\x00\x00\x13SFATAL\x00C28000\x00\x00", ""}},
			`Layer7 check passed, info: "PostgreSQL server is ok (28000)"`},
		{"pgsql starts", pg, []line{{"", pgsqlStart}, {"E\x00\x00\x00\x16C57P03\x00Mstarting\x00\x00", ""}},
			`Layer7 wrong status, info: "57P03 starting"`},
		{"pgsql is new", pg, []line{{"", pgsqlStart}, {"R\x00\x00\x00\x08\x00\x00\x00\x63", ""}}, `Layer7 invalid response, info: "unknown authentication 99"`},
		{"mysql greets", []string{"mysql"}, []line{{mysqlGreeting, ""}}, `Layer7 check passed, info: "MySQL server is ok, version 8.0.36"`},
		{"mysql login", my, []line{{mysqlGreeting, mysqlLogin}, {mysqlOK, "\x01\x00\x00\x00\x01"}}, `Layer7 check passed, info: "MySQL server is ok, version 8.0.36"`},
		{"mysql other method", my, []line{{mysqlGreeting, mysqlLogin}, {"\x0e\x00\x00\x02\xfecaching_sha2\x00", "\x00\x00\x00\x03"},
			{"\x07\x00\x00\x04\x00\x00\x00\x02\x00\x00\x00", "\x01\x00\x00\x00\x01"}}, `Layer7 check passed, info: "MySQL server is ok, version 8.0.36"`},
		{"mysql denies", my, []line{{mysqlGreeting, mysqlLogin}, {"\x0f\x00\x00\x02\xff\x15\x04#28000denied", ""}}, `Layer7 wrong status, code: 1045, info: "denied"`},
		{"mysql is full", my, []line{{"\x0b\x00\x00\x00\xff\x10\x04too many", ""}}, `Layer7 wrong status, code: 1040, info: "too many"`},
		{"ldap", []string{"ldap"}, []line{{"", ldapBind}, {"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00", ldapUnbind}}, `Layer7 check passed, info: "Success"`},
		{"ldap long form", []string{"ldap"}, []line{{"", ldapBind}, {"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x61\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00", ""}},
			`Layer7 invalid response, info: "not LDAPv3 protocol"`}, // four bytes of length inside: nobody writes that
		{"ldap refuses", []string{"ldap"}, []line{{"", ldapBind}, {"\x30\x10\x02\x01\x01\x61\x0b\x0a\x01\x30\x04\x00\x04\x04busy", ""}}, `Layer7 wrong status, code: 48, info: "busy"`},
		{"ldap is not", []string{"ldap"}, []line{{"", ldapBind}, {"\x30\x03\x02\x01\x02", ""}}, `Layer7 invalid response, info: "not LDAPv3 protocol"`},
		{"ssl_hello", []string{"ssl_hello"}, []line{{"\x16\x03\x03\x00\x40\x02\x00", ""}}, `Layer6 check passed, info: "ServerHello"`},
		{"ssl_hello alert", []string{"ssl_hello"}, []line{{"\x15\x03\x01\x00\x02\x02\x46", ""}}, `Layer6 check passed, info: "alert"`},
		{"ssl_hello clear", []string{"ssl_hello"}, []line{{"HTTP/1.1 400 Bad\r\n", ""}}, `Layer6 invalid response, info: "485454502f31 is no answer to a hello"`},
		{"agent", []string{"agent", "--send", `who\n`}, []line{{"", "who\n"}, {"75% up # all fine\n", ""}}, `Layer7 check passed, info: "75% up # all fine"`},
		{"agent raves", []string{"agent"}, []line{{"purple\n", ""}}, `Layer7 invalid response, info: "purple"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			target, wrong := dialogue(t, c.script)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			p := probeOf(t, c.probe[0], c.probe[1:]...)
			r, err := p.Probe(ctx, target)
			if r.String() != c.want || (err == nil) != strings.Contains(c.want, "passed") {
				t.Errorf("%s (%v), want %s", r, err, c.want)
			}
			if w := <-wrong; w != "" {
				t.Errorf("the server heard %s", w)
			}
		})
	}
}

func TestHTTPExpectations(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2;x=y\r\ndy\r\n0\r\n\r\n"
	long := "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 60<<10) + "ready"
	for _, c := range []struct {
		name, answer string
		expect       []string
		want         string
	}{
		{"any status", "HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\nready", []string{"body", "ready"}, ""},
		{"chunked", chunked, []string{"body", "ready"}, ""},
		{"until the end", long, []string{"body", "~xready$"}, ""},
		{"length ends it", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nready", []string{"body", "ready"}, "Layer7 invalid response, code: 200, info: \"did not match content 'ready'\""},
		{"cut short but there", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nready", []string{"body", "~re.dy"}, ""},
		{"no body", "HTTP/1.1 204 No\r\n\r\nready", []string{"body", "ready"}, "Layer7 invalid response, code: 204, info: \"did not match content 'ready'\""},
		{"escape", "HTTP/1.1 200 OK\r\n\r\na\x00b", []string{"body", `a\0b`}, ""},
		{"header", "HTTP/1.1 200 OK\r\nA: b\r\nx-ready:  yes \r\n\r\n", []string{"header", "X-Ready", "yes"}, ""},
		{"header there", "HTTP/1.1 200 OK\r\nx-ready: \r\n\r\n", []string{"header", "X-Ready"}, ""},
		{"second header", "HTTP/1.1 200 OK\r\nX-Ready: no\r\nX-Ready: yes\r\n\r\n", []string{"header", "X-Ready", "~^yes$"}, ""},
		{"other value", "HTTP/1.1 200 OK\r\nX-Ready: yes, sir\r\n\r\n", []string{"header", "X-Ready", "yes"}, `Layer7 invalid response, code: 200, info: "expected header X-Ready yes"`},
		{"broken header", "HTTP/1.1 200 OK\r\nX Ready: yes\r\n\r\n", []string{"header", "X-Ready"}, `Layer7 invalid response, info: "invalid header"`},
		{"broken length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", []string{"body", "x"}, `Layer7 invalid response, info: "invalid header"`},
		{"broken chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nready\r\n", []string{"body", "x"}, `Layer7 invalid response, info: "invalid chunk"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := listen(t, func(conn net.Conn) {
				_, _ = bufio.NewReader(conn).ReadString('\n')
				_, _ = io.WriteString(conn, c.answer)
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
			})
			got := ""
			if _, err := withExpect(t, c.expect[0], c.expect[1:]...).Probe(t.Context(), target); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestParseAgent(t *testing.T) {
	const none = upstream.NoAdvice
	for in, want := range map[string]*upstream.Advice{
		"75%":                      {Weight: 75, Maxconn: none},
		"0%":                       {Weight: 0, Maxconn: none},
		"Ready, UP\t50%":           {Weight: 50, Maxconn: none, Admin: upstream.Ready, State: upstream.AgentUp},
		"maxconn:30 drain":         {Weight: none, Maxconn: 30, Admin: upstream.Drain},
		"maint":                    {Weight: none, Maxconn: none, Admin: upstream.Maint},
		"down # disk \x1b[31mfull": {Weight: none, Maxconn: none, State: upstream.AgentDown, Word: "down", Why: "disk .[31mfull"},
		"fail":                     {Weight: none, Maxconn: none, State: upstream.AgentDown, Word: "fail"},
		"stopped":                  {Weight: none, Maxconn: none, State: upstream.AgentDown, Word: "stopped"},
		"4294967295%":              {Weight: maxAgentPercent, Maxconn: none},
		"":                         nil, "#": nil, "purple": nil, "75": nil, "-1%": nil, "%": nil, "maxconn:": nil, "maxconn:-1": nil, "up 5%%": nil,
		"99999999999%": nil,
	} {
		a, ok := ParseAgent(in)
		if ok != (want != nil) || ok && a != *want {
			t.Errorf("%q: %+v %v, want %+v", in, a, ok, want)
		}
	}
}

func TestExecProbe(t *testing.T) {
	script := func(text string) string {
		f := t.TempDir() + "/probe"
		if err := os.WriteFile(f, []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // it must be executable
			t.Fatal(err)
		}
		return f
	}
	t.Setenv("SECRET", "not for probes")
	target := &Target{Network: "tcp", Address: "10.0.0.1:80", Name: "web/s1", Answer: 20 * time.Second}
	for _, c := range []struct {
		name, text string
		args       []string
		want       string
	}{
		{"passes", "exit 0", nil, "External check passed"},
		{"fails", "echo first\necho all broken >&2\nexit 3", nil, `External check error, code: 3, info: "all broken"`},
		{"arguments", `echo "$1|$2"`, []string{"a b", "$x"}, `External check passed, info: "a b|$x"`},
		{"environment", `env -u PWD -u _ -u SHLVL -u OLDPWD | sort | tr '\n' ' '`, nil,
			`External check passed, info: "LOADSTAR_POOL=web LOADSTAR_SERVER=s1 LOADSTAR_SERVER_ADDR=10.0.0.1 LOADSTAR_SERV"`},
		{"directory", "pwd", nil, `External check passed, info: "/"`},
		{"floods", "yes | head -c 3000000; echo; echo end", nil, `External check passed, info: "end"`},
		{"killed", "kill -9 $$", nil, `External check error, info: "signal: killed"`},
		{"leaves a child", "sleep 1000 &\nexit 0", nil, "External check passed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := probeOf(t, "exec", append([]string{script(c.text)}, c.args...)...).Probe(t.Context(), target)
			if r.String() != c.want {
				t.Errorf("%s, want %s", r, c.want)
			}
		})
	}
}

// At the timeout everything that the command started dies with it.
func TestExecKillsTheGroup(t *testing.T) {
	dir := t.TempDir()
	f := dir + "/probe"
	// The child holds a FIFO open for writing: when it dies, the reader ends.
	text := "#!/bin/sh\nmkfifo " + dir + "/pipe\necho >" + dir + "/up\nsh -c 'sleep 1000' >" + dir + "/pipe &\nwait\n"
	if err := os.WriteFile(f, []byte(text), 0o700); err != nil { //nolint:gosec // it must be executable
		t.Fatal(err)
	}
	target := &Target{Network: "tcp", Address: "10.0.0.1:80", Name: "web/s1", Answer: 2 * time.Second}
	p := probeOf(t, "exec", f)
	end := make(chan string)
	go func() { r, _ := p.Probe(t.Context(), target); end <- r.String() }()
	for {
		if _, err := os.Stat(dir + "/up"); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	pipe, err := os.Open(dir + "/pipe")
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	_, _ = io.Copy(io.Discard, pipe) // ends when nobody holds it any more
	if r := <-end; r != "External check timeout" {
		t.Error(r)
	}
}
