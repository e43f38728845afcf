//go:build linux

package main

import (
	"bytes"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// client is one connection of the load generator.
type client struct {
	g       *load
	index   int
	fd      int
	live    bool // connected
	events  uint32
	out     []byte // of the request, not yet written
	began   time.Time
	in      []byte // an answer's head that is not yet complete
	left    int64  // bytes of the answer still to come; 0: its head
	greeted bool   // echo: the service has been chosen
}

func (c *client) connect() error {
	fd, err := dial(c.g.plan.Port, c.index)
	if err != nil {
		return err
	}
	c.fd, c.live, c.greeted, c.left, c.in = fd, false, false, 0, c.in[:0]
	c.began = time.Now() // for a connection per request, connecting counts
	c.events = unix.EPOLLOUT
	c.g.open++
	return c.g.add(fd, c, unix.EPOLLOUT)
}

func (c *client) ready(events uint32) {
	if !c.live {
		if errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
			c.lost("connect: " + unix.Errno(errno).Error())
			return
		}
		c.live = true
		if c.g.plan.Kind == "echo" {
			_, _ = unix.Write(c.fd, []byte("echo\n"))
		}
		c.send(c.began)
		return
	}
	if events&unix.EPOLLOUT != 0 {
		c.write()
		return
	}
	c.read()
}

// send starts the next request.
func (c *client) send(began time.Time) {
	c.began = began
	c.out = c.g.request
	switch c.g.plan.Kind {
	case "echo":
		c.left = c.g.plan.Size
	case "bulk":
		c.left = c.g.plan.Size
	}
	c.write()
}

func (c *client) write() {
	n, err := unix.Write(c.fd, c.out)
	if err != nil && err != unix.EAGAIN {
		c.lost("write: " + err.Error())
		return
	}
	c.out = c.out[max(n, 0):]
	want := uint32(unix.EPOLLIN)
	if len(c.out) > 0 {
		want = unix.EPOLLOUT
	}
	if want != c.events {
		c.events = want
		c.g.change(c.fd, want)
	}
}

func (c *client) read() {
	var n int
	var err error
	if c.left > 0 && c.g.plan.Kind != "echo" {
		// MSG_TRUNC drops what was received without copying it (tcp(7)): the
		// generator's own cost must not hide the proxy's.
		n, _, err = unix.Recvfrom(c.fd, c.g.scratch[:min(c.left, int64(len(c.g.scratch)))], unix.MSG_TRUNC)
	} else {
		n, err = unix.Read(c.fd, c.g.scratch[:])
	}
	switch {
	case err == unix.EAGAIN:
		return
	case err != nil:
		c.lost("read: " + err.Error())
		return
	case n == 0:
		c.lost("closed before the answer was complete")
		return
	}
	if c.left > 0 {
		c.g.res.Bytes += int64(n)
		if c.left -= int64(n); c.left <= 0 {
			c.answered()
		}
		return
	}
	c.head(c.g.scratch[:n])
}

// head reads an answer's head and what came with it.
func (c *client) head(b []byte) {
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
	size, ok := parseAnswerHead(b[:end+2])
	if !ok {
		c.lost("unexpected answer: " + string(b[:min(end, 120)]))
		return
	}
	body := int64(len(b) - end - 4)
	c.g.res.Bytes += body
	c.in = c.in[:0]
	if c.left = size - body; c.left == 0 {
		c.answered()
	}
}

// parseAnswerHead gives the length of a 200's body. Answers without a length
// are refused: no product of the comparison has a reason to change the origin's.
func parseAnswerHead(head []byte) (size int64, ok bool) {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return 0, false
	}
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(name) == 14 && bytes.EqualFold(name, []byte("content-length")) {
			size, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			return size, err == nil
		}
	}
	return 0, false
}

// answered goes on to the next request, or ends.
func (c *client) answered() {
	c.g.finish(c.began)
	switch c.g.plan.Kind {
	case "idle":
		return
	case "close", "bulk":
		c.over()
		if !c.g.ending {
			if err := c.connect(); err != nil {
				c.g.fail("connect: " + err.Error())
			}
		}
	default:
		if c.g.ending {
			c.over()
			return
		}
		c.send(time.Now())
	}
}

func (c *client) over() {
	c.g.drop(c.fd)
	c.g.open--
}

// lost counts a failure and tries again while there is time; a pause keeps a
// dead proxy from being asked a million times.
func (c *client) lost(what string) {
	c.over()
	c.g.fail(what)
	if c.g.ending || c.g.res.Errors > 1000 {
		return
	}
	if err := c.connect(); err != nil {
		c.g.fail("connect: " + err.Error())
	}
}
