package main_test

import (
	"fmt"
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

// notifications plays systemd's end of sd_notify(3).
func notifications(t *testing.T) (path string, next func(prefix string) string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return path, func(prefix string) string {
		t.Helper()
		_ = l.SetReadDeadline(time.Now().Add(30 * time.Second))
		buf := make([]byte, 4096)
		var others []string
		for {
			n, err := l.Read(buf)
			if err != nil {
				t.Fatalf("%q never came, only %q", prefix, others)
			}
			if m := string(buf[:n]); strings.HasPrefix(m, prefix) {
				return m
			} else if !strings.HasPrefix(m, "WATCHDOG=1") {
				others = append(others, m)
			}
		}
	}
}

// activated gives a command that has systemd's sockets from descriptor 3 on.
func activated(binary, file string, names string, sockets ...net.Listener) (*exec.Cmd, error) {
	// LISTEN_PID is the shell's, and then that of the program that it becomes.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", binary, "run", "--config", file)
	cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+names)
	for _, l := range sockets {
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			return nil, err
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	return cmd, nil
}

func listenHere(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// The life of a unit of Type=notify-reload with a watchdog and with sockets that
// systemd has opened, an upgrade in it.
func TestUnderSystemd(t *testing.T) {
	notify, next := notifications(t)
	web, other := listenHere(t, "tcp", "127.0.0.1:0"), listenHere(t, "tcp", "127.0.0.1:0")
	port := web.Addr().(*net.TCPAddr).Port
	var unix net.Listener
	site := func(dir, body string) string {
		return fmt.Sprintf("{\n\tadmin unix/%[1]s/admin.sock\n}\nhttp://:%[2]d {\n\tbind 127.0.0.1\n\tlog off\n\trespond %[3]q\n}\nhttp://unix/%[1]s/s {\n\tlog off\n\trespond %[3]q\n}\n",
			dir, port, body)
	}
	d := e2e.StartDaemon(t, site("{dir}", "one"), func(d *e2e.Daemon) *exec.Cmd {
		unix = listenHere(t, "unix", d.Dir+"/s")
		unix.(*net.UnixListener).SetUnlinkOnClose(false)
		cmd, err := activated(e2e.Binary(t), d.File, "web:other:unix", web, other, unix)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+notify, "WATCHDOG_USEC=400000")
		return cmd
	})
	get := func(want string) {
		t.Helper()
		res, err := http.Get("http://" + rig.Addr(port))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b := make([]byte, 10)
		if n, _ := res.Body.Read(b); string(b[:n]) != want {
			t.Errorf("answer %q, want %q", b[:n], want)
		}
	}
	next("READY=1")
	get("one")
	pid := d.PID()
	if out := d.Output(); !strings.Contains(out, "wanted by no site") || !strings.Contains(out, other.Addr().String()) {
		t.Errorf("the third socket is passed over in silence:\n%s", out)
	}
	next("WATCHDOG=1")

	d.Write(site(d.Dir, "two"))
	d.Signal(pid, syscall.SIGHUP)
	if m := next("RELOADING=1"); !strings.Contains(m, "\nMONOTONIC_USEC=") {
		t.Errorf("reload: %q", m)
	}
	next("READY=1")
	get("two")

	d.Signal(pid, syscall.SIGUSR2)
	m := next("MAINPID=")
	next("READY=1") // of the new one
	if got := d.PID(); m != fmt.Sprintf("MAINPID=%d", got) || got == pid {
		t.Errorf("%s; process %d answers, and before it %d", m, got, pid)
	}
	next("WATCHDOG=1")
	get("two")
	d.Signal(d.PID(), syscall.SIGTERM)
	if m := next("STOPPING=1"); !strings.Contains(m, "EXTEND_TIMEOUT_USEC=") {
		t.Errorf("stop: %q", m)
	}
	if !d.Gone() {
		t.Errorf("it does not end:\n%s", d.Output())
	}
}

// What systemd hands over must be something to listen on.
func TestSocketActivationRefuses(t *testing.T) {
	l := listenHere(t, "tcp", "127.0.0.1:0")
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd, err := activated(e2e.Binary(t), "none", "odd")
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "odd: descriptor 3 is a socket that does not listen") {
		t.Errorf("%v\n%s", err, out)
	}
}
