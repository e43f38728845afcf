//go:build !linux

package sock

import "syscall"

// Acked cannot be told here.
func Acked(syscall.RawConn) int64 { return -1 }

// Stale reports whether an idle connection is of no more use.
func Stale(rc syscall.RawConn) bool {
	stale := true
	err := rc.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		stale = err != syscall.EAGAIN
	})
	return stale || err != nil
}
