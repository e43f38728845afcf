//go:build !linux

package sock

import (
	"errors"
	"syscall"
)

// IgnoreSYN cannot be had here.
func IgnoreSYN(syscall.RawConn) error { return errors.ErrUnsupported }

// Acked cannot be told here.
func Acked(syscall.RawConn) int64 { return -1 }

// Stale reports whether an idle connection is of no more use.
func Stale(rc syscall.RawConn) bool {
	stale := true
	err := rc.Control(func(fd uintptr) {
		var one [1]byte
		stale = !Quiet(fd, one[:])
	})
	return stale || err != nil
}

// Left reports whether the peer has left a connection that is being waited on:
// its end has come, and nothing stands unread before it.
func Left(rc syscall.RawConn, _ bool) bool { return Ended(rc) }
