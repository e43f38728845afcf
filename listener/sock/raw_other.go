//go:build !linux || race

package sock

import "syscall"

// Under the race detector the ordinary calls are used: they tell it what
// happens before what.
func read(fd uintptr, p []byte) (int, error) {
	n, err := syscall.Read(int(fd), p)
	return max(n, 0), err
}

func write(fd uintptr, p []byte) (int, error) {
	n, err := syscall.Write(int(fd), p)
	return max(n, 0), err
}

func writev(fd uintptr, a, b []byte) (int, error) {
	n, err := write(fd, a)
	if n < len(a) || err != nil {
		return n, err
	}
	m, err := write(fd, b)
	if err == syscall.EAGAIN || err == syscall.EINTR { // a has left: this is a short count
		err = nil
	}
	return n + m, err
}

// peek is read, with the bytes left where they are.
func peek(fd uintptr, p []byte) (int, error) {
	n, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return max(n, 0), err
}
