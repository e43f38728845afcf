package main_test

import (
	"syscall"
	"testing"
)

// deafPort gives a port that takes no connection: its queue of connections that
// nobody accepts is full, so the kernel drops what comes.
func deafPort(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	loopback := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := syscall.Bind(fd, loopback); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		t.Fatal("not a TCP address")
	}
	for range 4 { // more than its queue holds
		c, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		syscall.CloseOnExec(c)
		t.Cleanup(func() { _ = syscall.Close(c) })
		if err := syscall.SetNonblock(c, true); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Connect(c, at)
	}
	return at.Port
}
