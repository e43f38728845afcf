//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// runOrigin is the child process that stands behind the proxies: HTTP on one
// port, a TCP service on the other, and a receiver of log lines (UDP) on a third.
// It prints the ports and runs until its standard input ends, which is when its
// parent is gone.
func runOrigin(stdin io.Reader, stdout io.Writer) error {
	l, err := newLoop()
	if err != nil {
		return err
	}
	var ports [2]int
	for i, to := range []func(*loop, int) watcher{newHTTPOrigin, newTCPOrigin} {
		fd, port, err := listen(0)
		if err != nil {
			return err
		}
		if err := l.add(fd, &acceptor{l, fd, to}, unix.EPOLLIN); err != nil {
			return err
		}
		ports[i] = port
	}
	logs, err := newLogSink(l)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, ports[0], ports[1], logs); err != nil {
		return err
	}
	return l.whileOpen(stdin)
}

// filler is what bodies are made of.
var filler = bytes.Repeat([]byte("0123456789abcdef"), (256<<10)/16)

// outgoing is an answer that is being written: a head, then filler.
type outgoing struct {
	head []byte
	body int64
}

// write sends what the socket takes. done is false when there is more.
func (o *outgoing) write(fd int) (done bool, err error) {
	for len(o.head) > 0 || o.body > 0 {
		var n int
		switch body := filler[:min(o.body, int64(len(filler)))]; {
		case len(o.head) > 0 && o.body > 0:
			n, err = unix.Writev(fd, [][]byte{o.head, body})
		case len(o.head) > 0:
			n, err = unix.Write(fd, o.head)
		default:
			n, err = unix.Write(fd, body)
		}
		if err == unix.EAGAIN {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		h := min(n, len(o.head))
		o.head = o.head[h:]
		o.body -= int64(n - h)
	}
	return true, nil
}

// httpOrigin answers GET /bytes/N with N bytes, and everything else with a
// short text after it has read the body. It takes bodies with a length only:
// every proxy in the comparison forwards those as they are.
type httpOrigin struct {
	l        *loop
	fd       int
	in       []byte // a head that is not yet complete
	body     int64  // request body bytes still to come
	out      outgoing
	pending  bool // an answer is owed once the body is in
	size     int64
	close    bool
	watching bool // for room to write
}

func newHTTPOrigin(l *loop, fd int) watcher { return &httpOrigin{l: l, fd: fd} }

func (c *httpOrigin) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 && !c.flush() {
		return
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
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
	c.take(c.l.scratch[:n])
}

// take works off what was read.
func (c *httpOrigin) take(b []byte) {
	for {
		if c.body > 0 {
			n := min(c.body, int64(len(b)))
			c.body -= n
			b = b[n:]
		}
		if c.body > 0 {
			return
		}
		if c.pending {
			c.pending = false
			c.out = outgoing{answerHead(c.size, c.close), c.size}
			if !c.flush() {
				c.in = append(c.in, b...)
				return
			}
		}
		if len(c.in) > 0 {
			c.in = append(c.in, b...)
			b = c.in
		}
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			if len(c.in) == 0 {
				c.in = append(c.in, b...)
			}
			return
		}
		c.size, c.body, c.close = parseOriginHead(b[:end+2])
		c.pending = true
		b = b[end+4:]
		c.in = nil
	}
}

// flush writes; it is false when the connection is gone or the socket is full.
func (c *httpOrigin) flush() bool {
	done, err := c.out.write(c.fd)
	switch {
	case err != nil, done && c.close:
		c.l.drop(c.fd)
		return false
	case !done:
		c.watching = true
		c.l.change(c.fd, unix.EPOLLOUT)
		return false
	case c.watching:
		c.watching = false
		c.l.change(c.fd, unix.EPOLLIN)
		if rest := c.in; len(rest) > 0 {
			c.in = nil
			c.take(rest)
		}
	}
	return true
}

// smallBody is the length of the answer to anything but /bytes/N.
const smallBody = 64

var smallHead = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\r\n")

func answerHead(size int64, closing bool) []byte {
	if size == smallBody && !closing {
		return smallHead
	}
	h := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ")
	h = strconv.AppendInt(h, size, 10)
	if closing {
		h = append(h, "\r\nConnection: close"...)
	}
	return append(h, "\r\n\r\n"...)
}

// parseOriginHead reads the size asked for, the length of the body, and whether
// the connection ends afterwards, from a request's head.
func parseOriginHead(head []byte) (size, body int64, closing bool) {
	size = smallBody
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if _, rest, ok := bytes.Cut(line, []byte(" /bytes/")); ok {
		digits, _, _ := bytes.Cut(rest, []byte(" "))
		size, _ = strconv.ParseInt(string(digits), 10, 64)
	}
	closing = bytes.HasSuffix(line, []byte("/1.0"))
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(name) == 14 && bytes.EqualFold(name, []byte("content-length")):
			body, _ = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		case len(name) == 10 && bytes.EqualFold(name, []byte("connection")):
			closing = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		}
	}
	return size, body, closing
}
