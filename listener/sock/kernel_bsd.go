//go:build darwin || freebsd

package sock

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Accept takes the next connection off a listening socket's queue: non-blocking, and
// not inherited by other programs. Its errors are those of accept(2), EAGAIN when the
// queue is empty.
func Accept(fd uintptr) (int, error) {
	syscall.ForkLock.RLock() // there is no accept4: nobody may fork before the flag is set
	defer syscall.ForkLock.RUnlock()
	n, _, err := unix.Accept(int(fd))
	if err != nil {
		return -1, err
	}
	if err := ours(n); err != nil {
		_ = unix.Close(n)
		return -1, err
	}
	return n, nil
}

// Pair makes two unix sockets that are connected to each other: non-blocking, and
// inherited by nobody who is not given them.
func Pair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	both, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return both, err
	}
	if err := errors.Join(ours(both[0]), ours(both[1])); err != nil {
		_, _ = unix.Close(both[0]), unix.Close(both[1])
		return both, err
	}
	return both, nil
}

func ours(fd int) error {
	unix.CloseOnExec(fd)
	return unix.SetNonblock(fd, true)
}

// fionread is FIONREAD of sys/filio.h: _IOR('f', 127, int).
const fionread = 0x4004667f

// Buffered tells how many bytes have come that nobody has read; not ok where that
// cannot be told.
func Buffered(fd uintptr) (n int, ok bool) {
	n, err := unix.IoctlGetInt(int(fd), fionread)
	return n, err == nil
}

// HalfClosed reports whether the peer has closed its side: what is there is then all
// there will be.
func HalfClosed(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLHUP}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// Queued cannot be told here.
func Queued(uintptr) int { return 0 }
