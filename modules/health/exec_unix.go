//go:build unix

package health

import (
	"os/exec"
	"syscall"
)

// killGroup gives the command a process group of its own, and has all of it
// killed when the context ends.
func killGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
