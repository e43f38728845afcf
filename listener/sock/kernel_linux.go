package sock

import "golang.org/x/sys/unix"

// KeepIdle is the TCP option that says after how many seconds of silence the peer is probed.
const KeepIdle = unix.TCP_KEEPIDLE

// Accept takes the next connection off a listening socket's queue: non-blocking, and
// not inherited by other programs. Its errors are those of accept4(2), EAGAIN when
// the queue is empty.
func Accept(fd uintptr) (int, error) {
	n, _, err := unix.Accept4(int(fd), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	return n, err
}

// Pair makes two unix sockets that are connected to each other: non-blocking, and
// inherited by nobody who is not given them.
func Pair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
}

// Buffered tells how many bytes have come that nobody has read; not ok where that
// cannot be told.
func Buffered(fd uintptr) (n int, ok bool) {
	n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
	return n, err == nil
}

// HalfClosed reports whether the peer has closed its side: what is there is then all
// there will be.
func HalfClosed(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// Queued tells how many connections wait on a listening socket to be accepted (tcp(7):
// tcpi_unacked of a listening socket); 0 where that cannot be told.
func Queued(fd uintptr) int {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State != unix.BPF_TCP_LISTEN {
		return 0
	}
	return int(info.Unacked)
}
