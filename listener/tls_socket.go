package listener

import (
	"io"
	"net"
	"syscall"

	"github.com/loadstar-lb/loadstar/listener/sock"
)

// socket is a TCP connection beneath TLS that reads and writes in the callbacks
// of its RawConn (see package sock for what that saves). One goroutine may read
// while another writes; crypto/tls sees to that. A read tries before it waits,
// even where the last one took all there was: what the poller reported between
// two calls of RawConn.Read is forgotten by the second.
type socket struct {
	*net.TCPConn
	rc syscall.RawConn

	reading func(uintptr) bool // bound once, not at every call
	in      []byte
	inN     int
	inErr   error

	writing func(uintptr) bool
	out     []byte
	outErr  error
}

// beneath gives what TLS is to be put over.
func beneath(nc net.Conn) net.Conn {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	rc := sock.Raw(tc)
	if rc == nil {
		return nc
	}
	s := &socket{TCPConn: tc, rc: rc}
	s.reading, s.writing = s.read, s.write
	return s
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.in, s.inN, s.inErr = p, 0, nil
	err := s.rc.Read(s.reading)
	s.in = nil
	switch {
	case err != nil:
		return 0, err
	case s.inErr != nil:
		return 0, s.inErr
	case s.inN == 0:
		return 0, io.EOF
	}
	return s.inN, nil
}

func (s *socket) read(fd uintptr) bool {
	n, err := sock.Read(fd, s.in)
	if err == sock.ErrAgain {
		return false
	}
	s.inN, s.inErr = n, err
	return true
}

// Write implements net.Conn.
func (s *socket) Write(p []byte) (int, error) {
	s.out, s.outErr = p, nil
	err := s.rc.Write(s.writing)
	n := len(p) - len(s.out)
	s.out = nil
	if err == nil {
		err = s.outErr
	}
	return n, err
}

func (s *socket) write(fd uintptr) bool {
	for len(s.out) > 0 {
		n, err := sock.Write(fd, s.out)
		if err == sock.ErrAgain {
			return false
		}
		if err != nil {
			s.outErr = err
			return true
		}
		s.out = s.out[n:]
	}
	return true
}
