//go:build linux && !race

package sock

import (
	"syscall"
	"unsafe"
)

// Sockets are asked as sockets (recvfrom, sendto): that spares the kernel the
// layer of files.
func read(fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(min(len(p), maxRaw)), 0, 0, 0)
	if e != 0 {
		return 0, errno(e)
	}
	return int(n), nil
}

// peek is read, with the bytes left where they are.
func peek(fd uintptr, p []byte) (int, error) {
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, errno(e)
	}
	return int(n), nil
}

func write(fd uintptr, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(min(len(p), maxRaw)), syscall.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, errno(e)
	}
	return int(n), nil
}

// errno boxes the two errors that are no failures once, not at each return.
func errno(e syscall.Errno) error {
	switch e {
	case syscall.EAGAIN:
		return ErrAgain
	case syscall.EINTR:
		return errIntr
	default:
		return e
	}
}

var errIntr error = syscall.EINTR

// writev writes two pieces with one system call.
func writev(fd uintptr, a, b []byte) (int, error) {
	iov := [2]syscall.Iovec{
		{Base: unsafe.SliceData(a), Len: uint64(len(a))},
		{Base: unsafe.SliceData(b), Len: uint64(len(b))},
	}
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&iov[0])), 2)
	if e != 0 {
		return 0, errno(e)
	}
	return int(n), nil
}
