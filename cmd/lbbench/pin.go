//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// proxyCPU is where the product under test runs, toolCPU where the origin and
// the load generator do.
const (
	proxyCPU = 0
	toolCPU  = 1
)

// wantedFiles is the descriptor limit of everything that is started here:
// 10,000 idle connections, and as many again towards the server.
const wantedFiles = 65536

// pinned makes a command that runs on one processor only: this program starts
// itself, binds itself to the processor and becomes the command.
func pinned(cpu int, argv ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.Command(self, append([]string{"pinned", strconv.Itoa(cpu)}, argv...)...), nil
}

// runPinned is the other half of pinned. It returns only if it fails.
func runPinned(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("%w: pinned CPU COMMAND", errUsage)
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("%w: pinned %q", errUsage, args[0])
	}
	runtime.LockOSThread() // the affinity is the thread's, and exec keeps this one
	if runtime.NumCPU() > n {
		var set unix.CPUSet
		set.Set(n)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin to processor %d: %w", n, err)
		}
	}
	raiseFiles()
	if args[1] == "self" {
		args[1], err = os.Executable()
		if err != nil {
			return err
		}
	}
	return unix.Exec(args[1], args[1:], os.Environ())
}

// raiseFiles lifts the descriptor limit as far as this user may.
func raiseFiles() {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil || lim.Cur >= wantedFiles {
		return
	}
	lim.Cur = wantedFiles
	if lim.Max < lim.Cur {
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: lim.Cur, Max: lim.Cur}) == nil {
			return
		}
		lim.Cur = lim.Max
	}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &lim)
}
