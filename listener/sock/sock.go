// Package sock reads and writes non-blocking sockets from inside the callbacks
// of syscall.RawConn, and asks the kernel about them.
//
// Why not net.Conn: its Read first tries and fails before it waits (an EAGAIN
// costs as much as a read), and every call tells the scheduler of a blocking
// system call that never blocks. On small keep-alive exchanges the two together
// were a tenth of the CPU time.
package sock

import (
	"errors"
	"net"
	"syscall"
)

// ErrAgain means that the socket is not ready: wait for the poller.
var ErrAgain error = syscall.EAGAIN

// maxRaw bounds what is moved behind the scheduler's back: a system call must
// not hold a processor for longer than a few microseconds.
const maxRaw = 64 << 10

// Read reads once. It gives ErrAgain when nothing is there and (0, nil) at the
// end of the stream.
func Read(fd uintptr, p []byte) (int, error) {
	for {
		n, err := read(fd, p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Write writes once; a short count means that the socket's buffer is full.
func Write(fd uintptr, p []byte) (int, error) {
	for {
		n, err := write(fd, p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Writev writes a and then b, as Write does, with one system call where there
// is one. Neither may be empty.
func Writev(fd uintptr, a, b []byte) (int, error) {
	for {
		n, err := writev(fd, a, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// Quiet reports whether nothing has come in: neither bytes, nor the end of the
// stream, nor an error. one is room for one byte.
func Quiet(fd uintptr, one []byte) bool {
	for {
		switch _, err := peek(fd, one[:1]); err {
		case syscall.EINTR:
		case ErrAgain:
			return true
		default:
			return false
		}
	}
}

// Ended reports whether nothing more can be read: the peer ended the stream, or
// it broke, and all that came before was read.
func Ended(rc syscall.RawConn) bool {
	ended := false
	err := rc.Control(func(fd uintptr) {
		var one [1]byte
		n, err := peek(fd, one[:])
		ended = n == 0 && err != ErrAgain && err != syscall.EINTR
	})
	return ended || err != nil
}

// Raw gives the RawConn of a connection, nil if it has no descriptor.
func Raw(c net.Conn) syscall.RawConn {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return rc
}

// Reset reports whether an error says that the peer broke the connection off.
func Reset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
