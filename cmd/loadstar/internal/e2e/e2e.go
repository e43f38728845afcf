// Package e2e runs the real program against scripted origins and raw clients.
// Nothing in it knows how Loadstar works inside: tests that use it hold for any
// rewrite of it.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// built is the program, made once a test binary.
var built struct {
	sync.Once
	path string
	err  error
}

// Binary builds the program that is tested and gives its path. LOADSTAR names
// another one to test. Under the race detector the program is built with it,
// too, which also makes it poison borrowed buffers.
func Binary(t testing.TB) string {
	t.Helper()
	built.Do(func() {
		if built.err = os.Setenv("GORACE", GoRace()); built.err != nil {
			return
		}
		if built.path = os.Getenv("LOADSTAR"); built.path != "" {
			return
		}
		dir, err := os.MkdirTemp("", "loadstar-e2e-")
		if err != nil {
			built.err = err
			return
		}
		// For tests in which it starts itself anew as somebody else.
		if built.err = os.Chmod(dir, 0o755); built.err != nil {
			return
		}
		built.path = filepath.Join(dir, "loadstar")
		args := []string{"build", "-o", built.path}
		env := os.Environ()
		if raceEnabled {
			args = append(args, "-race")
		} else { // as it is released; the race detector needs cgo
			env = append(env, "CGO_ENABLED=0")
		}
		cmd := exec.Command("go", append(args, "github.com/loadstar-lb/loadstar/cmd/loadstar")...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// GoRace is what the environment's GORACE has to be for the programs that tests run.
// A program with the race detector waits a second at its end for races that are still
// to come (atexit_sleep_ms); with some three hundred processes that was the better part
// of the tests' time. Races before the end are told as ever, and a twentieth of a second
// is left for the last.
func GoRace() string {
	given := os.Getenv("GORACE")
	if strings.Contains(given, "atexit_sleep_ms") {
		return given
	}
	return strings.TrimSpace(given + " atexit_sleep_ms=50")
}

// Remove deletes what Binary built; for TestMain.
func Remove() {
	if built.path != "" && os.Getenv("LOADSTAR") == "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
}

// Ports finds free ports.
func Ports(t testing.TB, n int) []int {
	t.Helper()
	ports, err := rig.Ports(n)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

// Instance is a running Loadstar.
type Instance struct {
	*rig.Process
	File string // its configuration
	Dir  string
	t    testing.TB
}

// Options is the process block that every tested configuration begins with: the
// admin socket must not be the machine's.
func Options(dir string) string {
	return fmt.Sprintf("{\n\tadmin unix/%s/admin.sock\n}\n\n", dir)
}

// Run starts Loadstar with a configuration (to which Options are added unless
// it begins with a process block of its own) and waits until it answers on the
// given ports. The test's end stops it, and fails if it has panicked, raced or
// not ended well.
func Run(t testing.TB, config string, ports ...int) *Instance {
	t.Helper()
	dir := t.TempDir()
	// A socket's path must be short (unix(7): 108 bytes), a test's name is not.
	sockets, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	if !strings.HasPrefix(config, "{") {
		config = Options(sockets) + config
	}
	in := &Instance{File: filepath.Join(dir, "Lbfile"), Dir: sockets, t: t}
	in.Write(config)
	cmd := exec.Command(Binary(t), "run", "--config", in.File)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	if os.Getenv("STATE_DIRECTORY") == "" { // nothing of a test is to stay on the machine
		cmd.Env = append(cmd.Env, "STATE_DIRECTORY="+filepath.Join(dir, "state"))
	}
	in.Process, err = rig.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.stop)
	var addrs []string
	for _, p := range ports {
		addrs = append(addrs, rig.Addr(p))
	}
	if err := in.Answers(Patience, addrs...); err != nil {
		t.Fatalf("%v\nwith\n%s", err, config)
	}
	return in
}

// Write replaces the configuration, in one step: a reload that is under way must not
// read half of it. Reload makes it current.
func (in *Instance) Write(config string) {
	in.t.Helper()
	err := os.WriteFile(in.File+".new", []byte(config), 0o644)
	if err == nil {
		err = os.Rename(in.File+".new", in.File)
	}
	if err != nil {
		in.t.Fatal(err)
	}
}

// Reload sends SIGHUP.
func (in *Instance) Reload() {
	in.t.Helper()
	if err := in.Signal(syscall.SIGHUP); err != nil {
		in.t.Fatal(err)
	}
}

func (in *Instance) stop() {
	early, _ := in.Ended()
	err := in.Stop(Patience)
	out := in.Output()
	switch {
	case strings.Contains(out, "DATA RACE"), strings.Contains(out, "panic:"), strings.Contains(out, "goroutine 1 ["):
		in.t.Errorf("it raced or panicked:\n%s", out)
	case early:
		in.t.Errorf("it ended by itself (%v):\n%s", err, out)
	case err != nil:
		in.t.Errorf("after SIGTERM: %v\n%s", err, out)
	case in.t.Failed():
		in.t.Logf("it printed:\n%s", out)
	}
}
