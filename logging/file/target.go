package file

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/logging"
)

const (
	fileMode = 0o640
	// batchBytes is what one write takes at most.
	batchBytes = 32 << 10
	// pipeBytes is PIPE_BUF of Linux: a pipe that polls as writable takes so much
	// without blocking, and as one piece.
	pipeBytes = 4096
	// pollMillis is how long a pipe or terminal may take to become writable
	// before the queue is let look after itself.
	pollMillis = 100
)

var (
	errBlocked = errors.New("nobody reads: the pipe is full")
	errGone    = errors.New("the file is gone and cannot be created")
)

// target is an open descriptor. It is a bare one: an os.File would end the process
// with SIGPIPE when a reader of the standard output goes away.
type target struct {
	path     string // "" for a standard stream
	fd       int    // -1 while there is none
	slow     bool   // not a regular file: it may block, and is polled first
	id       identity
	buf      []byte
	begun    int // bytes of the next line that are written already
	rotation rotation
	size     int64     // of the file, with rotation
	born     time.Time // likewise
}

// identity tells one file from another of the same name.
type identity struct{ dev, ino uint64 }

// open opens a file for appending.
func open(path string, r rotation) (*target, error) {
	t := &target{path: path, fd: -1, rotation: r}
	if err := t.Reopen(); err != nil {
		return nil, err
	}
	return t, nil
}

// duplicate takes a standard stream.
func duplicate(fd int) (*target, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, &os.PathError{Op: "dup", Path: fmt.Sprintf("descriptor %d", fd), Err: err}
	}
	t := &target{fd: -1}
	err = t.take(n)
	return t, err
}

// take makes fd the descriptor in use, closing the one before.
func (t *target) take(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return os.NewSyscallError("fstat", err)
	}
	if t.rotation.size > 0 {
		if err := t.begin(fd); err != nil {
			_ = unix.Close(fd)
			return err
		}
	}
	err := t.Close()
	t.fd, t.begun = fd, 0 // the other file has the line's beginning, this one gets it whole
	t.slow = st.Mode&unix.S_IFMT != unix.S_IFREG
	t.id = identityOf(&st)
	return err
}

// Reopen opens the path anew. If that fails the old file stays in use: after a drop of
// privileges it may be all there is.
func (t *target) Reopen() error {
	if t.path == "" {
		return nil
	}
	// O_NONBLOCK, lest a FIFO without a reader hold up a load of the configuration.
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_CLOEXEC | unix.O_NONBLOCK
	fd, err := retry(func() (int, error) { return unix.Open(t.path, flags, fileMode) })
	if err != nil {
		return &os.PathError{Op: "open", Path: t.path, Err: err}
	}
	return t.take(fd)
}

// Check opens the file anew if its name stands for another one now, or for none.
func (t *target) Check() {
	if t.path == "" {
		return
	}
	var st unix.Stat_t
	err := unix.Stat(t.path, &st)
	gone := errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
	if !gone && (err != nil || identityOf(&st) == t.id && t.fd >= 0) {
		return
	}
	if t.Reopen() != nil && gone {
		// What goes on into a removed file is lost without a trace: rather
		// hold lines, and count those that cannot be held.
		_ = t.Close()
	}
}

// Deliver writes lines, many at once.
func (t *target) Deliver(lines []logging.Line) (int, error) {
	if t.fd < 0 {
		if err := t.Reopen(); err != nil {
			return 0, fmt.Errorf("%w: %w", errGone, err)
		}
	}
	done := 0
	for done < len(lines) {
		n, err := t.write(lines[done:])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// write does one write and tells how many lines it ended.
func (t *target) write(lines []logging.Line) (int, error) {
	limit := batchBytes
	if t.slow {
		if err := t.poll(); err != nil {
			return 0, err
		}
		limit = pipeBytes
	}
	t.buf = t.buf[:0]
	for _, l := range lines {
		t.buf = append(append(t.buf, l.Text...), '\n')
		if len(t.buf)-t.begun >= limit {
			break
		}
	}
	out := t.buf[t.begun:]
	if t.due(len(out)) {
		if err := t.rotate(); err != nil {
			return 0, fmt.Errorf("rotation: %w", err)
		}
	}
	n, err := retry(func() (int, error) { return unix.Write(t.fd, out[:min(len(out), limit)]) })
	if n == 0 && err == nil {
		err = unix.EIO
	}
	done := 0
	t.begun += max(n, 0)
	t.size += int64(max(n, 0))
	for _, l := range lines {
		if t.begun <= len(l.Text) { // its newline is not out
			break
		}
		t.begun -= len(l.Text) + 1
		done++
	}
	if err != nil {
		return done, os.NewSyscallError("write", err)
	}
	return done, nil
}

func (t *target) poll() error {
	fds := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLOUT}}
	n, err := retry(func() (int, error) { return unix.Poll(fds, pollMillis) })
	if err == nil && n == 0 {
		return errBlocked
	}
	return os.NewSyscallError("poll", err)
}

// Close closes the descriptor.
func (t *target) Close() error {
	if t.fd < 0 {
		return nil
	}
	err := unix.Close(t.fd)
	t.fd = -1
	return os.NewSyscallError("close", err)
}

func identityOf(st *unix.Stat_t) identity {
	return identity{uint64(st.Dev), st.Ino} //nolint:unconvert // Dev is narrower on some systems
}

// retry repeats a system call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
