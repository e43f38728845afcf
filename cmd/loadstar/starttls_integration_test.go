//go:build integration

package main_test

import (
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// realPostgres starts a PostgreSQL that speaks TLS and gives its port. Its one
// database is named so that a client can tell where it has come to.
func realPostgres(t *testing.T, ca *issuer, name string) int {
	t.Helper()
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(all) == 0 {
		t.Skip("SKIP: no PostgreSQL; apt-get install postgresql")
	}
	bin := all[len(all)-1]
	dir, err := os.MkdirTemp("", "loadstar-real-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var cred *syscall.Credential
	if os.Getuid() == 0 { // it refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("SKIP: no user postgres")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Dir = dir
		c.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGKILL}
		return c
	}
	data := filepath.Join(dir, "data")
	if err := os.WriteFile(dir+"/pw", []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := command("initdb", "-D", data, "-A", "scram-sha-256", "-U", name, "--pwfile", dir+"/pw").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	ca.pair(t, data+"/server.crt", data+"/server.key", name+".example")
	if err := os.Chmod(data+"/server.key", 0o600); err != nil {
		t.Fatal(err)
	}
	if cred != nil {
		for _, f := range []string{"/server.crt", "/server.key"} {
			if err := os.Chown(data+f, int(cred.Uid), int(cred.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	port := e2e.Ports(t, 1)[0]
	p, err := rig.Start(command("postgres", "-D", data, "-p", fmt.Sprint(port), "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "ssl=on",
		"-c", "ssl_min_protocol_version=TLSv1.2", "-c", "fsync=off"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Signal(syscall.SIGQUIT)
		_ = p.Stop(10 * time.Second)
		if t.Failed() {
			t.Logf("PostgreSQL printed:\n%s", p.Output())
		}
	})
	if !rig.Until(30*time.Second, func() bool { return strings.Contains(p.Output(), "ready to accept connections") }) {
		t.Fatalf("it does not start:\n%s", p.Output())
	}
	return port
}

// TestRealServersPostgres has psql reach two servers behind one port by the name that
// it connects to, verifying their certificates, and one by TLS that ends here.
func TestRealServersPostgres(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("SKIP: no psql; apt-get install postgresql")
	}
	ca := newIssuer(t)
	dir := t.TempDir()
	root := filepath.Join(dir, "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.root.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	ca.pair(t, dir+"/crt", dir+"/key", "ends.example")
	one, two := realPostgres(t, ca, "one"), realPostgres(t, ca, "two")
	p := e2e.Ports(t, 3)
	e2e.Run(t, fmt.Sprintf(`tcp://:%d {
	starttls postgres
	@one sni one.example
	proxy @one one
	proxy two
}
tls://ends.example:%d {
	tls %s/crt %s/key
	starttls postgres
	proxy one
}
tls://ends.example:%d {
	tls %s/crt %s/key
	starttls postgres
	proxy secure
}
pool one {
	health pgsql user one
	server s 127.0.0.1:%d
}
pool two {
	health pgsql user two
	server s 127.0.0.1:%d
}
pool secure {
	tls ca %s name two.example
	server s 127.0.0.1:%d
}
`, p[0], p[1], dir, dir, p[2], dir, dir, one, two, root, two), p...)

	for _, c := range []struct {
		host, user, mode, want string
		port                   int
	}{
		{"one.example", "one", "verify-full", "one|t", p[0]},
		{"two.example", "two", "verify-full", "two|t", p[0]},
		{"nobody.example", "two", "disable", "two|f", p[0]},
		{"ends.example", "one", "verify-full", "one|f", p[1]}, // the server is spoken to in clear
		{"ends.example", "two", "verify-full", "two|t", p[2]},
		{"ends.example", "one", "disable", "", p[1]},
	} {
		cmd := exec.Command(psql, "-X", "-A", "-t", "-w", "-c", "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()",
			fmt.Sprintf("host=%s hostaddr=127.0.0.1 port=%d user=%s password=secret dbname=postgres sslmode=%s sslrootcert=%s channel_binding=disable connect_timeout=20",
				c.host, c.port, c.user, c.mode, root))
		out, err := cmd.CombinedOutput()
		got := strings.TrimSpace(string(out))
		if c.want != "" && (got != c.want || err != nil) {
			t.Errorf("%s at %d by %s: %s (%v), want %s", c.host, c.port, c.mode, got, err, c.want)
		}
		if c.want == "" && !strings.Contains(got, "this server takes TLS only") {
			t.Errorf("%s at %d by %s: %s, want our refusal", c.host, c.port, c.mode, got)
		}
	}
	// What passes through may be bound to the channel (SCRAM-SHA-256-PLUS): nobody
	// has taken the TLS apart.
	cmd := exec.Command(psql, "-X", "-A", "-t", "-w", "-c", "select 1",
		fmt.Sprintf("host=one.example hostaddr=127.0.0.1 port=%d user=one password=secret dbname=postgres sslmode=verify-full sslrootcert=%s channel_binding=require", p[0], root))
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "1" {
		t.Errorf("channel binding: %s (%v)", out, err)
	}
}
