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
	var found *flow.Hello
	p := peek{judge: func(b []byte) (bool, int) {
		h, v, need := hello.Parse(b)
		if v == hello.OK {
			said := flow.Hello(h)
			found = &said
		}
		return v != hello.NeedMore, need
	}}
	err := p.wait(rc)
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	} else if os.IsTimeout(err) {
		_ = c.SetReadDeadline(time.Time{})
	}
	c.Hello = found
	return err
}

// peek is the start of a stream being waited for, without being taken.
type peek struct {
	// judge looks at the start as it is so far, which is lent: it has seen
	// enough, or needs that many bytes before it can tell more.
	judge func(start []byte) (enough bool, need int)
	need  int // bytes below which another look tells nothing new
	err   error
}

// wait waits until judge has seen enough, or the stream has ended, or is as long
// as judge is ever shown (hello.MaxBytes), or the read deadline has passed.
func (p *peek) wait(rc syscall.RawConn) error {
	if err := rc.Read(p.look); err != nil {
		return err
	}
	return p.err
}

// look is called whenever bytes have arrived; false waits for more. It does not
// spin while unread bytes lie in the socket: the poller reports arrivals only.
func (p *peek) look(fd uintptr) bool {
	if p.need > 0 && !sock.HalfClosed(fd) {
		if n, ok := sock.Buffered(fd); ok && n < p.need {
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
	enough, need := p.judge(buf[:n])
	if !enough && n < len(buf) && !sock.HalfClosed(fd) {
		p.need = need
		return false
	}
	return true
}
