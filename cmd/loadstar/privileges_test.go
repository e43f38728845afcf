package main_test

import (
	"fmt"
	"io"
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
)

// lowPort finds a port below 1024 that is free.
func lowPort(t *testing.T) int {
	t.Helper()
	for port := 1023; port > 600; port-- {
		if l, err := net.Listen("tcp", rig.Addr(port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Skip("SKIP: no free port below 1024")
	return 0
}

// threads gives a line of /proc/PID/task/*/status, once each.
func threads(t *testing.T, pid int, name string) []string {
	t.Helper()
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	var out []string
	for _, file := range all {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended meanwhile
		}
		for _, line := range strings.Split(string(b), "\n") {
			value, ok := strings.CutPrefix(line, name+":")
			value = strings.Join(strings.Fields(value), " ")
			if ok && !strings.Contains("|"+strings.Join(out, "|")+"|", "|"+value+"|") {
				out = append(out, value)
			}
		}
	}
	return out
}

// Started by root it goes on as nobody in all its threads, keeps the right to bind low
// ports and no other, also over an upgrade, and can still reload.
func TestPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: only root can become somebody else")
	}
	low, second := lowPort(t), e2e.Ports(t, 1)[0]
	config := func(dir string, ports ...int) string {
		sites := ""
		for _, p := range ports {
			sites += fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog file %s/access.log\n\trespond ok\n}\n", p, dir)
		}
		return fmt.Sprintf("{\n\tadmin unix/%s/admin.sock\n\tuser nobody\n\tgroup 65534\n}\n%s", dir, sites)
	}
	d := e2e.StartDaemon(t, config("{dir}", second), func(d *e2e.Daemon) *exec.Cmd {
		// The user must get at the file, for reloads; and not at the log's directory.
		if err := os.Chmod(d.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		d.Move(filepath.Join(d.Dir, "Lbfile"))
		return exec.Command(e2e.Binary(t), "run", "--config", d.File)
	})
	d.Answers(rig.Addr(second))
	nobody := func(pid int) {
		t.Helper()
		for name, want := range map[string]string{
			"Uid": "65534 65534 65534 65534", "Gid": "65534 65534 65534 65534", "Groups": "65534",
		} {
			if got := threads(t, pid, name); len(got) != 1 || got[0] != want {
				t.Errorf("%s is %q in the process's threads, not %q alone", name, got, want)
			}
		}
		caps := "0000000000000400" // CAP_NET_BIND_SERVICE
		if e2e.Race {
			caps = "0000000000000000" // see errKeepsNone
		}
		for _, name := range []string{"CapEff", "CapPrm", "CapAmb"} {
			if got := threads(t, pid, name); len(got) != 1 || got[0] != caps {
				t.Errorf("%s is %q in the process's threads, not %q alone", name, got, caps)
			}
		}
	}
	pid := d.PID()
	nobody(pid)
	if out := d.Output(); !strings.Contains(out, "rule=out-of-reach") || !strings.Contains(out, "may not write to "+d.Dir) {
		t.Errorf("nothing is said of the log's directory:\n%s", out)
	}
	answers := func(port int) bool {
		res, err := http.Get("http://" + rig.Addr(port))
		if err != nil {
			return false
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode == 200
	}
	d.Write(config(d.Dir, second, low))
	d.Signal(pid, syscall.SIGHUP)
	if e2e.Race {
		if !rig.Until(30*time.Second, func() bool { return strings.Contains(d.Output(), "CAP_NET_BIND_SERVICE") }) {
			t.Errorf("it does not say why the port cannot be bound:\n%s", d.Output())
		}
		d.Write(config(d.Dir, second))
	} else if !rig.Until(30*time.Second, func() bool { return answers(low) }) {
		t.Fatalf("port %d is not served after a reload:\n%s", low, d.Output())
	}

	// The new process opens its logs itself, and that as nobody.
	if err := os.Chown(filepath.Join(d.Dir, "access.log"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(e2e.Binary(t), "upgrade", "--admin", "unix/"+d.Dir+"/admin.sock").CombinedOutput()
	if err != nil || d.PID() == pid {
		t.Fatalf("upgrade: %v\n%s\n%s", err, out, d.Output())
	}
	nobody(d.PID())
	if !answers(second) {
		t.Error("after the upgrade nobody answers")
	}
}

// What cannot be is refused at the start, with its place.
func TestPrivilegesRefused(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"user no-such-user-here":                   `Lbfile:2:7: error: there is no user "no-such-user-here" here  [unknown-user]`,
		"user nobody\n\tgroup no-such-group":       `Lbfile:3:8: error: there is no group "no-such-group" here  [unknown-group]`,
		"user nobody\n\tchroot /no/such/directory": `Lbfile:3:9: error: /no/such/directory is no directory  [bad-chroot]`,
		"chroot /":                   "error: chroot without `user`: root can leave the directory  [bad-chroot]",
		"user nobody\n\tuser nobody": "Lbfile:3:2: error",
		"user":                       "Lbfile:2:2: error: `user` needs USER",
	} {
		file := filepath.Join(dir, "Lbfile")
		if err := os.WriteFile(file, []byte("{\n\t"+text+"\n\tadmin off\n}\nhttp://:80 {\n\trespond ok\n}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"check", "run"} {
			out, err := exec.Command(e2e.Binary(t), command, "--config", file).CombinedOutput()
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("%s of %q: %v\n%s", command, text, err, out)
			}
		}
	}
}
