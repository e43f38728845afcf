package listener

import (
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	"github.com/loadstar-lb/loadstar/listener/wire/hello"
)

// DefaultHandshake is how long the start of a stream is waited for.
const DefaultHandshake = 5 * time.Second

var peeks = sync.Pool{New: func() any { return new([hello.MaxBytes]byte) }}

// PeekHello fills in c.Hello from the ClientHello at the start of the stream and
// leaves the stream as it was. It returns when the hello is there, when the bytes
// are no hello or have ended, or after the timeout (0: DefaultHandshake); c.Hello
// then stays nil, and the stream goes the way of those without a server name. An
// error is os.ErrDeadlineExceeded or one of the socket.
func PeekHello(c *flow.Conn, timeout time.Duration) error {
	rc := sock.Raw(c.Conn)
	if rc == nil {
		return nil
	}
	if timeout <= 0 {
		timeout = DefaultHandshake
	}
	if err := c.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	var p peek
	err := rc.Read(p.look)
	if err == nil {
		err = p.err
	}
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	} else if os.IsTimeout(err) {
		_ = c.SetReadDeadline(time.Time{})
	}
	c.Hello = p.found
	return err
}

// peek is one hello being waited for.
type peek struct {
	need  int // bytes below which another look tells nothing new
	found *flow.Hello
	err   error
}

// look is called whenever bytes have arrived; false waits for more. It does not
// spin while unread bytes lie in the socket: the poller reports arrivals only.
func (p *peek) look(fd uintptr) bool {
	if p.need > 0 && !finished(int(fd)) {
		if n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil && n < p.need {
			return false // a slow sender is not copied once for each of its bytes
		}
	}
	buf := peeks.Get().(*[hello.MaxBytes]byte) // not held while waiting
	defer peeks.Put(buf)
	n, _, err := unix.Recvfrom(int(fd), buf[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return false
	case err != nil:
		p.err = err
		return true
	case n == 0:
		return true
	}
	h, v, need := hello.Parse(buf[:n])
	if v == hello.NeedMore && n < len(buf) && !finished(int(fd)) {
		p.need = need
		return false
	}
	if v == hello.OK {
		found := flow.Hello(h)
		p.found = &found
	}
	return true
}

// finished reports whether the peer has closed its side: what is there is then all
// there will be.
func finished(fd int) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}
