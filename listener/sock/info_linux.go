package sock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Acked gives the number of bytes that the peer's kernel has acknowledged over
// the life of a TCP connection, -1 if that cannot be told. A request of which
// nothing was acknowledged has been seen by nobody.
func Acked(rc syscall.RawConn) int64 {
	acked := int64(-1)
	err := rc.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			acked = int64(info.Bytes_acked)
		}
	})
	if err != nil {
		return -1
	}
	return acked
}

// Stale reports whether an idle connection is of no more use: the peer has
// closed it, or sent something nobody asked for.
func Stale(rc syscall.RawConn) bool {
	stale := true
	err := rc.Control(func(fd uintptr) {
		var one [1]byte
		stale = !Quiet(fd, one[:])
	})
	return stale || err != nil
}

// Left reports whether the peer has left a connection that is being waited on.
// A peer that closes and one that only ends its half look the same: the end has
// come, whatever bytes stand unread before it. With halfOpen, an end behind
// unread bytes is taken for that of a half.
func Left(rc syscall.RawConn, halfOpen bool) bool {
	left := false
	err := rc.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return // no TCP: it cannot be told
		}
		switch info.State {
		case unix.BPF_TCP_ESTABLISHED:
		case unix.BPF_TCP_CLOSE_WAIT:
			var one [1]byte
			n, _ := peek(fd, one[:])
			left = !halfOpen || n <= 0
		default:
			left = true
		}
	})
	return left || err != nil
}
