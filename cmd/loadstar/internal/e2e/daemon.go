package e2e

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// Daemon is a Loadstar whose process may be replaced by another one: what is
// running is known by its admin endpoint, and by the process group that all of
// them are in.
type Daemon struct {
	File  string // its configuration
	Dir   string // of the admin socket
	group int
	log   string
	t     testing.TB
}

// StartDaemon starts cmd, which runs in.File with in.Dir, in a process group of its
// own. Nobody has to answer yet. The test's end stops all that is in the group, and
// fails if one of them has panicked or raced.
func StartDaemon(t testing.TB, config string, command func(d *Daemon) *exec.Cmd) *Daemon {
	t.Helper()
	dir := t.TempDir()
	sockets, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{File: filepath.Join(dir, "Lbfile"), Dir: sockets, log: filepath.Join(dir, "output"), t: t}
	if !strings.HasPrefix(config, "{") {
		config = Options(sockets) + config
	}
	d.Write(strings.ReplaceAll(config, "{dir}", sockets))
	out, err := os.Create(d.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := command(d)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "NO_COLOR=1")
	// A file, no pipe: Wait would wait for whoever else has the pipe.
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.group = cmd.Process.Pid
	go func() { _ = cmd.Wait() }()
	t.Cleanup(d.stop)
	return d
}

// RunDaemon is StartDaemon for the usual command; it waits until the ports answer.
func RunDaemon(t testing.TB, config string, ports ...int) *Daemon {
	t.Helper()
	d := StartDaemon(t, config, func(d *Daemon) *exec.Cmd { return exec.Command(Binary(t), "run", "--config", d.File) })
	for _, p := range ports {
		d.Answers(rig.Addr(p))
	}
	return d
}

// Answers waits until an address accepts connections.
func (d *Daemon) Answers(addr string) {
	d.t.Helper()
	if !rig.Until(30*time.Second, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}) {
		d.t.Fatalf("nothing answers on %s:\n%s", addr, d.Output())
	}
}

// Write replaces the configuration.
func (d *Daemon) Write(config string) {
	d.t.Helper()
	if err := os.WriteFile(d.File, []byte(config), 0o644); err != nil {
		d.t.Fatal(err)
	}
}

// PID asks who answers now; 0: nobody.
func (d *Daemon) PID() int {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", d.Dir+"/admin.sock")
		}}}
	r, err := c.Get("http://loadstar/status")
	if err != nil {
		return 0
	}
	defer r.Body.Close()
	var st struct {
		PID int `json:"pid"`
	}
	if json.NewDecoder(r.Body).Decode(&st) != nil {
		return 0
	}
	return st.PID
}

// Move puts the configuration elsewhere.
func (d *Daemon) Move(to string) {
	d.t.Helper()
	b, err := os.ReadFile(d.File)
	if err != nil {
		d.t.Fatal(err)
	}
	d.File = to
	d.Write(string(b))
}

// Signal sends a signal to one process.
func (d *Daemon) Signal(pid int, s syscall.Signal) {
	d.t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		d.t.Fatalf("signal %v to %d: %v", s, pid, err)
	}
}

// Alive tells whether a process is there, and no zombie.
func Alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// Output is what all the processes have printed so far.
func (d *Daemon) Output() string {
	b, _ := os.ReadFile(d.log)
	return string(b)
}

// Gone waits until no process of the group is left.
func (d *Daemon) Gone() bool {
	return rig.Until(30*time.Second, func() bool { return !d.any() })
}

// any looks for processes of the group that are no zombies: in a container it may be
// that nobody buries them.
func (d *Daemon) any() bool {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range all {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest) // state, parent, group
		if len(f) > 2 && f[2] == strconv.Itoa(d.group) && f[0] != "Z" && f[0] != "X" {
			return true
		}
	}
	return false
}

func (d *Daemon) stop() {
	_ = syscall.Kill(-d.group, syscall.SIGTERM)
	if !d.Gone() {
		d.t.Errorf("it did not end:\n%s", d.Output())
	}
	_ = syscall.Kill(-d.group, syscall.SIGKILL)
	out := d.Output()
	if strings.Contains(out, "DATA RACE") || strings.Contains(out, "panic:") || strings.Contains(out, "goroutine 1 [") {
		d.t.Errorf("it raced or panicked:\n%s", out)
	} else if d.t.Failed() {
		d.t.Logf("it printed:\n%s", out)
	}
	_ = os.RemoveAll(d.Dir)
}
