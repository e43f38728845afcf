package http2

import (
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/multi"
)

// wake has the reader look around, from another goroutine.
func (c *conn) wake() {
	c.waking.Store(true)
	_ = c.fc.SetReadDeadline(time.Unix(1, 0))
}

// gone ends a connection whose client has left.
func (c *conn) gone(err error) {
	c.ended = true
	c.mu.Lock()
	c.break_(err)
	c.mu.Unlock()
}

// break_ gives the connection up: nobody waits for it any more. c.mu is held.
func (c *conn) break_(err error) {
	if c.failed != nil {
		return
	}
	c.failed = multi.Gone(err)
	for _, s := range c.open {
		s.bereave()
	}
}

// finish waits for what is still served, and lets go of everything.
func (c *conn) finish() {
	if p := recover(); p != nil {
		defer panic(p) // a fault of ours: whoever accepted the connection says so
	}
	if c.linger {
		c.lingerClose()
	}
	c.gone(net.ErrClosed)
	_ = c.fc.Close()
	c.workers.Dismiss()
	c.mu.Lock()
	for _, s := range c.fresh { // read, but never served
		c.running--
		c.remove(s, false)
	}
	c.mu.Unlock()
	c.workers.All.Wait()
	if c.buf != nil {
		readBuffers.Put(c.buf)
		c.buf = nil
	}
	c.fc.OnDrain(nil)
	c.fc.Idle()
	c.fc.Unpin()
}

// lingerClose ends our side and takes in, for a moment, what is on its way:
// closing with unread bytes would reset the connection, and the client would not
// learn why.
func (c *conn) lingerClose() {
	half, ok := c.fc.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.fc.SetReadDeadline(time.Now().Add(lingerTime))
	b := c.borrow()
	for left := lingerBytes; left > 0; {
		n, err := c.fc.Read(b[:])
		if err != nil {
			return
		}
		left -= n
	}
}

const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)
