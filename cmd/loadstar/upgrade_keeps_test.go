package main_test

import (
	"fmt"
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

// ordered runs the program and gives what it printed.
func ordered(t *testing.T, d *e2e.Daemon, words ...string) (out string, good bool) {
	t.Helper()
	cmd := exec.Command(e2e.Binary(t), append(words, "--admin", "unix/"+d.Dir+"/admin.sock")...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	b, err := cmd.CombinedOutput()
	return string(b), err == nil
}

// An upgrade exchanges the program and not the configuration: one that was sent stays
// in force, with the history; one that is the file's is read again. While one waits to
// be confirmed there is no upgrade, for nobody would go back.
func TestUpgradeKeepsWhatIsInForce(t *testing.T) {
	port := e2e.Ports(t, 1)[0]
	answers := func(word string) string {
		return fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\trespond %s\n}\n", port, word)
	}
	d := e2e.RunDaemon(t, answers("first"), port)
	body := func() string { // of a new connection
		c := e2e.Dial(t, port)
		c.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		return c.Answer("GET").Body
	}
	must := func(words ...string) string {
		t.Helper()
		out, good := ordered(t, d, words...)
		if !good {
			t.Fatalf("%v: %s\n%s", words, out, d.Output())
		}
		return out
	}
	options := e2e.Options(d.Dir)
	sent := filepath.Join(t.TempDir(), "sent.lb")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(options+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(sent, answers("second"))
	must("ctl", "load", sent, "--confirm", "10m")
	pid := d.PID()
	if out, good := ordered(t, d, "upgrade"); good || !strings.Contains(out, "goes on: a configuration waits to be confirmed") {
		t.Errorf("upgraded while a configuration waits: %s", out)
	}
	d.Signal(pid, syscall.SIGUSR2)
	if !rig.Until(30*time.Second, func() bool { return strings.Count(d.Output(), "not upgraded") == 2 }) {
		t.Errorf("who upgraded by a signal was not told why not:\n%s", d.Output())
	}
	must("ctl", "confirm")

	must("upgrade")
	if now := d.PID(); now == pid || body() != "second" {
		t.Errorf("what was loaded is lost: %q from %d, before %d", body(), now, pid)
	}
	if out := must("ctl", "show", "history"); strings.Count(out, "\n") != 3 || !strings.Contains(out, "sent.lb") {
		t.Errorf("the history after an upgrade:\n%s", out)
	}
	d.Write(options + answers("third"))
	must("ctl", "rollback")
	must("upgrade")
	if body() != "first" {
		t.Errorf("the former configuration, which the file has no more, was lost: %q", body())
	}
	must("reload")
	if body() != "third" {
		t.Errorf("the file has third, and the reload gave %q", body())
	}
	d.Write(options + answers("fourth"))
	must("upgrade")
	if body() != "fourth" {
		t.Errorf("the file was in force and was not read again: %q", body())
	}
}

// A configuration that nobody confirmed and that went back is not brought back by who
// rolls back a moment too late.
func TestRollbackAfterGoingBack(t *testing.T) {
	port := e2e.Ports(t, 1)[0]
	d := e2e.RunDaemon(t, fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\trespond first\n}\n", port), port)
	text, err := os.ReadFile(d.File)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.lb")
	if err := os.WriteFile(bad, []byte(strings.ReplaceAll(string(text), "first", "bad")), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, good := ordered(t, d, "ctl", "load", bad, "--confirm", "1s"); !good {
		t.Fatal(out)
	}
	if !rig.Until(30*time.Second, func() bool { return strings.Contains(d.Output(), "generation=3") }) {
		t.Fatalf("it did not go back:\n%s", d.Output())
	}
	if out, good := ordered(t, d, "ctl", "rollback"); good || !strings.Contains(out, "configuration 2 was not confirmed, and has gone back already") {
		t.Errorf("rollback: %v %s", good, out)
	}
	if out, good := ordered(t, d, "ctl", "rollback", "2"); !good {
		t.Errorf("one that is named can be had: %s", out)
	}
}

// Inside a chroot, where neither users nor the directory itself can be looked up, and
// the configuration has another name than on the command line, the program is replaced
// by the one that is there; twice, for the second was started by the first.
func TestUpgradeInChroot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: only root can chroot")
	}
	jail := t.TempDir()
	for dir := jail; dir != "/" && strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	into := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		to = filepath.Join(jail, to)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	into(e2e.Binary(t), "loadstar")
	linked, _ := exec.Command("ldd", e2e.Binary(t)).Output() // an error: it needs nothing
	for _, word := range strings.Fields(string(linked)) {
		if filepath.IsAbs(word) {
			into(word, word)
		}
	}
	into("/dev/null", "dev/null")
	if err := os.MkdirAll(filepath.Join(jail, "run"), 0o777); err != nil {
		t.Fatal(err)
	}
	port := e2e.Ports(t, 1)[0]
	d := e2e.StartDaemon(t, fmt.Sprintf("{\n\tadmin unix/%s/run/admin.sock\n\tuser 65534\n\tchroot %s\n}\nhttp://:%d {\n\tbind 127.0.0.1\n\trespond ok\n}\n",
		jail, jail, port), func(d *e2e.Daemon) *exec.Cmd {
		d.Move(filepath.Join(jail, "Lbfile"))
		d.Dir = filepath.Join(jail, "run")
		return exec.Command(filepath.Join(jail, "loadstar"), "run", "--config", d.File)
	})
	d.Answers(rig.Addr(port))
	for range 2 {
		pid := d.PID()
		if out, good := ordered(t, d, "upgrade"); !good {
			t.Fatalf("%s\n%s", out, d.Output())
		}
		if now := d.PID(); now == pid || now == 0 {
			t.Errorf("%d answers after %d", now, pid)
		}
		if !rig.Until(30*time.Second, func() bool { return !e2e.Alive(pid) }) {
			t.Errorf("the old process does not end:\n%s", d.Output())
		}
	}
	if out, good := ordered(t, d, "reload"); !good {
		t.Errorf("the file is not found any more: %s", out)
	}
}
