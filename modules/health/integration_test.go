//go:build integration && linux

package health

import (
	"context"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a real server may take to start; a condition ends it.
const patience = 60 * time.Second

// real is one real server under test: how it is started, and what it answers.
type real struct {
	name    string
	needs   string // a program, or a pattern of its path
	user    string // it runs as; "": as the test
	start   func(r *run) *exec.Cmd
	passes  []string // the probe that passes
	want    string   // its result's beginning
	refuses []string // a probe that the server answers with a refusal; nil: none
	refusal string
}

// run is one server that runs.
type run struct {
	t       *testing.T
	dir     string
	port    int
	program string
	cred    *syscall.Credential
}

var reals = []real{
	{
		name: "redis", needs: "redis-server",
		start: func(r *run) *exec.Cmd {
			return r.command(r.program, "--port", r.portText(), "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--requirepass", "secret")
		},
		passes: []string{"redis", "--password", "secret"}, want: `Layer7 check passed, info: "Redis server is ok"`,
		refuses: []string{"redis"}, refusal: `Layer7 wrong status, info: "NOAUTH`,
	},
	{
		name: "redis by script", needs: "redis-server",
		start: func(r *run) *exec.Cmd {
			return r.command(r.program, "--port", r.portText(), "--bind", "127.0.0.1", "--dir", r.dir, "--save", "")
		},
		passes: []string{"tcp", "--send", `PING\r\n`, "--expect", "+PONG", "--send", `ECHO a\x41b\r\n`, "--expect", `~\$3\r\na[A-Z]b`}, want: "Layer7 check passed",
		refuses: []string{"tcp", "--send", `PLING\r\n`, "--expect", "~^-ERR .*\r\n", "--send", `QUIT\r\n`, "--expect", "+PONG"}, refusal: `Layer7 invalid response, info: "did not match`,
	},
	{
		name: "postgresql", needs: "/usr/lib/postgresql/*/bin/postgres", user: "postgres",
		start: func(r *run) *exec.Cmd {
			r.do(filepath.Join(filepath.Dir(r.program), "initdb"), "-D", r.dir+"/data", "-A", "scram-sha-256", "-U", "admin", "--pwfile", r.file("pw", "secret\n"))
			return r.command(r.program, "-D", r.dir+"/data", "-h", "127.0.0.1", "-p", r.portText(), "-k", r.dir)
		},
		passes: []string{"pgsql", "--user", "nobody-knows"}, want: `Layer7 check passed, info: "PostgreSQL server is ok`,
	},
	{
		name: "mariadb", needs: "mariadbd", user: "mysql",
		start: func(r *run) *exec.Cmd {
			r.do("mariadb-install-db", "--no-defaults", "--datadir="+r.dir+"/data", "--auth-root-authentication-method=normal")
			init := r.file("init.sql", "CREATE USER loadstar@'%';\nCREATE USER locked@'%' IDENTIFIED BY 'secret';\n")
			return r.command(r.program, "--no-defaults", "--datadir="+r.dir+"/data", "--port="+r.portText(), "--bind-address=127.0.0.1",
				"--socket="+r.dir+"/sock", "--pid-file="+r.dir+"/pid", "--skip-name-resolve", "--init-file="+init)
		},
		passes: []string{"mysql", "--user", "loadstar"}, want: `Layer7 check passed, info: "MySQL server is ok, version`,
		refuses: []string{"mysql", "--user", "locked"}, refusal: "Layer7 wrong status, code: 1045",
	},
	{
		name: "openldap", needs: "slapd",
		start: func(r *run) *exec.Cmd {
			conf := r.file("slapd.conf", "include /etc/ldap/schema/core.schema\npidfile "+r.dir+"/pid\nargsfile "+r.dir+"/args\n")
			return r.command(r.program, "-h", "ldap://127.0.0.1:"+r.portText(), "-f", conf, "-d", "0")
		},
		passes: []string{"ldap"}, want: `Layer7 check passed, info: "Success"`,
	},
	{
		name: "openldap without anonymous", needs: "slapd",
		start: func(r *run) *exec.Cmd {
			conf := r.file("slapd.conf", "include /etc/ldap/schema/core.schema\ndisallow bind_anon\npidfile "+r.dir+"/pid\nargsfile "+r.dir+"/args\n")
			return r.command(r.program, "-h", "ldap://127.0.0.1:"+r.portText(), "-f", conf, "-d", "0")
		},
		passes: []string{"tcp"}, want: "Layer4 check passed",
		refuses: []string{"ldap"}, refusal: `Layer7 wrong status, code: 48, info: "anonymous bind disallowed"`,
	},
	{
		name: "opensmtpd", needs: "smtpd",
		start: func(r *run) *exec.Cmd {
			conf := r.file("smtpd.conf", "listen on 127.0.0.1 port "+r.portText()+" hostname mx.example.com\naction \"a\" relay\nmatch from any for any reject\n")
			return r.command(r.program, "-d", "-f", conf)
		},
		passes: []string{"smtp", "EHLO", "lb.example.com"}, want: "Layer7 check passed, code: 250",
		refuses: []string{"redis"}, refusal: "Layer7 invalid response",
	},
}

func TestRealServers(t *testing.T) {
	for i := range reals {
		t.Run(reals[i].name, func(t *testing.T) { reals[i].test(t) })
	}
}

func (s *real) test(t *testing.T) {
	r := &run{t: t, dir: t.TempDir(), program: find(s.needs), port: freePort(t)}
	if r.program == "" {
		t.Skipf("SKIP: %s is not installed", s.needs)
	}
	if s.user != "" {
		r.become(s.user)
	}
	cmd := s.start(r)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop := func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	t.Cleanup(stop)

	good := probeOf(t, s.passes[0], s.passes[1:]...)
	r.until(ended, good, func(got string, err error) bool { return err == nil && strings.HasPrefix(got, s.want) })
	for range 20 { // nothing wears out: no leaked sessions, no host blocked for broken ones
		if res, err := r.probe(good); err != nil {
			t.Fatal(res)
		}
	}
	if s.refuses != nil {
		if res, err := r.probe(probeOf(t, s.refuses[0], s.refuses[1:]...)); err == nil || !strings.HasPrefix(res.String(), s.refusal) {
			t.Errorf("%s, want %s", res, s.refusal)
		}
	}
	stop()
	r.until(nil, good, func(got string, err error) bool {
		return err != nil && strings.HasPrefix(got, "Layer4 connection problem")
	})
}

func (r *run) probe(p Probe) (Result, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	return p.Probe(ctx, &Target{Network: "tcp", Address: "127.0.0.1:" + r.portText(), Name: "real/server", Connect: 5 * time.Second})
}

// until probes until the result is as wanted.
func (r *run) until(ended <-chan struct{}, p Probe, want func(string, error) bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		res, err := r.probe(p)
		if want(res.String(), err) {
			r.t.Log(res)
			return
		}
		select {
		case <-ended:
			r.t.Fatalf("the server has ended:\n%s", r.output())
		default:
		}
		if time.Now().After(end) {
			r.t.Fatalf("still %s; the server says:\n%s", res, r.output())
		}
	}
}

func (r *run) output() string {
	b, _ := os.ReadFile(r.dir + "/out")
	return string(b[max(0, len(b)-4000):])
}

// command makes a command in a process group of its own whose output is kept.
func (r *run) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	out, err := os.OpenFile(r.dir+"/out", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = out.Close() })
	c.Dir, c.Stdout, c.Stderr = r.dir, out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: r.cred, Pdeathsig: syscall.SIGKILL}
	return c
}

func (r *run) do(name string, args ...string) {
	r.t.Helper()
	if err := r.command(name, args...).Run(); err != nil {
		r.t.Fatalf("%s: %v\n%s", name, err, r.output())
	}
}

func (r *run) file(name, text string) string {
	r.t.Helper()
	f := filepath.Join(r.dir, name)
	if err := os.WriteFile(f, []byte(text), 0o644); err != nil { //nolint:gosec // another user reads it
		r.t.Fatal(err)
	}
	return f
}

func (r *run) portText() string { return strconv.Itoa(r.port) }

// become has the server run as another user, who gets a directory that it may
// enter: those of tests are closed to others.
func (r *run) become(name string) {
	r.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup(name)
	if err != nil {
		r.t.Skipf("SKIP: no user %s", name)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	dir, err := os.MkdirTemp("", "loadstar-real-")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, uid, gid); err != nil {
		r.t.Fatal(err)
	}
	r.dir, r.cred = dir, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// find gives a program's path: by PATH and sbin, or by a pattern.
func find(needs string) string {
	if strings.HasPrefix(needs, "/") {
		if all, _ := filepath.Glob(needs); len(all) > 0 {
			return all[len(all)-1]
		}
		return ""
	}
	for _, p := range []string{needs, "/usr/sbin/" + needs, "/usr/lib/opensmtpd/" + needs} {
		if f, err := exec.LookPath(p); err == nil {
			return f
		}
	}
	return ""
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, _ := strconv.Atoi(port)
	return n
}
