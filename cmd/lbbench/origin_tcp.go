//go:build linux

package main

import (
	"bytes"
	"io"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tcpOrigin is the TCP service: after "echo\n" it sends back what comes, after
// "send N\n" it sends N bytes and closes.
type tcpOrigin struct {
	l    *loop
	fd   int
	in   []byte
	echo bool
	out  outgoing
	end  bool // close when out is written
}

func newTCPOrigin(l *loop, fd int) watcher { return &tcpOrigin{l: l, fd: fd} }

func (c *tcpOrigin) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 {
		c.flush()
		return
	}
	n, err := unix.Read(c.fd, c.l.scratch[:])
	if err == unix.EAGAIN {
		return
	}
	if err != nil || n == 0 {
		c.l.drop(c.fd)
		return
	}
	b := c.l.scratch[:n]
	if c.echo {
		// Echoed messages are small and answered in turn: a socket that
		// does not take one is a client that broke the rules.
		if w, err := unix.Write(c.fd, b); err != nil || w < n {
			c.l.drop(c.fd)
		}
		return
	}
	c.in = append(c.in, b...)
	line, rest, ok := bytes.Cut(c.in, []byte("\n"))
	if !ok {
		return
	}
	if size, isSend := bytes.CutPrefix(line, []byte("send ")); isSend {
		c.out.body, _ = strconv.ParseInt(string(size), 10, 64)
		c.end = true
		c.flush()
		return
	}
	c.echo = true
	if len(rest) > 0 {
		_, _ = unix.Write(c.fd, rest)
	}
	c.in = nil
}

func (c *tcpOrigin) flush() {
	done, err := c.out.write(c.fd)
	switch {
	case err != nil, done && c.end:
		c.l.drop(c.fd)
	case !done:
		c.l.change(c.fd, unix.EPOLLOUT)
	}
}

// logSink swallows datagrams, so that nobody's log lines meet a full socket.
type logSink struct {
	l  *loop
	fd int
}

// newLogSink opens a UDP port and tells which.
func newLogSink(l *loop) (port int, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	if in4, ok := sa.(*unix.SockaddrInet4); ok {
		port = in4.Port
	}
	return port, l.add(fd, &logSink{l, fd}, unix.EPOLLIN)
}

func (s *logSink) ready(uint32) {
	for {
		if _, err := unix.Read(s.fd, s.l.scratch[:]); err != nil {
			return
		}
	}
}

// whileOpen runs the loop until a reader ends.
func (l *loop) whileOpen(stdin io.Reader) error {
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		close(over)
	}()
	for {
		if err := l.once(500 * time.Millisecond); err != nil {
			return err
		}
		select {
		case <-over:
			return nil
		default:
		}
	}
}
