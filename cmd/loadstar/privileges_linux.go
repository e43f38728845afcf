package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// canDrop tells whether this system lets a process become somebody else for good.
const canDrop = true

// errKeepsNone tells that the right to bind low ports could not be kept: a program
// that is built with cgo has threads that Go does not know.
var errKeepsNone = errors.New("this program was built with cgo; ports below 1024 can only be bound at the start")

// drop becomes who p says. kept is nil if the right to bind low ports was kept. Without
// an error there is no way back, in any thread.
func (p *privileges) drop() (kept, err error) {
	if p.chroot != "" {
		if err := unix.Chroot(p.chroot); err != nil {
			return nil, fmt.Errorf("chroot %s: %w", p.chroot, err)
		}
		if err := os.Chdir("/"); err != nil {
			return nil, err
		}
	}
	if p.uid == os.Getuid() && p.gid == os.Getgid() {
		return nil, nil
	}
	kept = everywhere(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0)
	if err := syscall.Setgroups(p.groups); err != nil {
		return nil, fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setresgid(p.gid, p.gid, p.gid); err != nil {
		return nil, fmt.Errorf("setgid %d: %w", p.gid, err)
	}
	if err := syscall.Setresuid(p.uid, p.uid, p.uid); err != nil {
		return nil, fmt.Errorf("setuid %d: %w", p.uid, err)
	}
	if p.uid != 0 && syscall.Setuid(0) == nil {
		return nil, errors.New("root was left, and yet can be had again")
	}
	if kept == nil && p.uid != 0 {
		kept = retain(p.keep)
	}
	return kept, nil
}

// retain keeps some capabilities and no other, for this process and for the one that
// may replace it.
func retain(keep []uint) error {
	bit := uint32(0)
	for _, c := range keep {
		bit |= 1 << c
	}
	head := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{{Effective: bit, Permitted: bit, Inheritable: bit}}
	err := everywhere(unix.SYS_CAPSET, uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(data)), 0)
	runtime.KeepAlive(head)
	runtime.KeepAlive(data)
	for _, c := range keep {
		if err == nil {
			err = everywhere(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(c))
		}
	}
	return err
}

// everywhere does a system call in all threads: credentials are a thread's own.
func everywhere(trap, a, b, c uintptr) error {
	switch _, _, e := syscall.AllThreadsSyscall6(trap, a, b, c, 0, 0, 0); e {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return errKeepsNone
	default:
		return e
	}
}
