package rig

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a program that was started, with what it has printed.
type Process struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{}
	err  error // why it ended; good after done
}

// Start runs a command in a process group of its own, so that Stop reaches the
// workers of programs that fork. What it prints on either stream is kept.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the id of the process that was started (not of its workers).
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is what the process has printed so far.
func (p *Process) Output() string { return p.out.String() }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended tells whether the process is gone, and how.
func (p *Process) Ended() (bool, error) {
	select {
	case <-p.done:
		return true, p.err
	default:
		return false, nil
	}
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// ErrEnded is returned for a process that ended before it answered.
var ErrEnded = errors.New("the process ended")

// Answers waits until every address accepts connections. The error holds what
// the process printed.
func (p *Process) Answers(limit time.Duration, addrs ...string) error {
	for _, addr := range addrs {
		ok := Until(limit, func() bool {
			if ended, _ := p.Ended(); ended {
				return true
			}
			c, err := net.DialTimeout("tcp", addr, time.Second)
			if err != nil {
				return false
			}
			_ = c.Close()
			return true
		})
		if ended, err := p.Ended(); ended {
			return fmt.Errorf("%w (%w):\n%s", ErrEnded, cause(err), p.Output())
		}
		if !ok {
			return fmt.Errorf("nothing answers on %s after %v:\n%s", addr, limit, p.Output())
		}
	}
	return nil
}

// Stop sends SIGTERM, and when that does not end the process within the given time
// SIGQUIT, then SIGKILL to the whole group.
func (p *Process) Stop(grace time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		// What hangs is to say where: a Go program answers SIGQUIT with its stacks.
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-p.done:
		case <-time.After(time.Second):
		}
	}
	// The group outlives its leader where workers do; it has nothing else in it.
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.done
	return p.err
}

// keptOutput bounds what is kept of a process's output, in bytes.
const keptOutput = 1 << 20

type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps the first megabyte and swallows the rest.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := keptOutput - o.buf.Len(); room > 0 {
		o.buf.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}

// String gives what was kept.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

var errExit0 = errors.New("exit status 0")

// cause names a good end, too: it is a surprise where a server was expected.
func cause(err error) error {
	if err == nil {
		return errExit0
	}
	return err
}
