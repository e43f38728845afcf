package listener

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/sock"
)

// accept is the loop of one socket. At a limit it does not accept; what comes
// then waits in the kernel's queue.
func (s *Socket) accept() {
	for {
		s.limit.Await(&s.stopping)
		s.host.Limit.Await(&s.stopping)
		if s.stopping.Load() {
			break
		}
		c, err := s.l.Accept()
		if err == nil {
			s.take(c)
			continue
		}
		if s.stopping.Load() {
			break
		}
		s.failed(err)
	}
	if !s.handed.Load() || s.packets() != nil { // a handshake in progress is ours to end
		if s.replaced.Load() {
			s.settle()
		}
		s.empty()
	}
	_ = s.l.Close()
	s.accepted.Store(true)
	s.checkEnd()
}

// take lets an accepted connection in. Only when several sockets compete for the
// last places of the process does it wait here.
func (s *Socket) take(c net.Conn) {
	s.limit.Enter(&s.stopping)
	s.host.Limit.Enter(&s.stopping)
	s.host.Accepted.Add(1)
	s.taken.Add(1)
	s.begin(c)
}

// failed deals with an error of accept without spinning.
func (s *Socket) failed(err error) {
	switch {
	case errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EINTR):
		return // that client has left
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		if s.host.reserve.yield() {
			s.host.Log.Error("out of descriptors: not accepting until some are free",
				"socket", s.Key.String(), "open", s.host.Connections(), "error", err)
		}
		for s.pause() && !s.host.reserve.refill() {
		}
	default:
		s.host.Log.Error("cannot accept", "socket", s.Key.String(), "error", err)
		s.pause()
	}
}

// pause waits a little; false when the socket is being retired.
func (s *Socket) pause() bool {
	t := time.NewTimer(retryEvery)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stop:
		return false
	}
}

// interrupt ends a waiting Accept.
func (s *Socket) interrupt() {
	if l, ok := s.l.(interface{ SetDeadline(time.Time) error }); ok {
		_ = l.SetDeadline(time.Unix(1, 0))
	}
}

// settling is for how long a socket that was replaced ends the handshakes that have
// begun: some round trips. It is less than the second after which a client asks
// again, so that none has to do so twice.
const settling = 250 * time.Millisecond

// settle accepts the connections whose handshake has begun. Closing the socket would
// reset them although another socket of ours may have the address now, and as long as
// it listens new ones would come: ":80" gets nothing that "10.0.0.1:80" is there for.
func (s *Socket) settle() {
	l, ok := s.l.(*net.TCPListener)
	if !ok {
		return
	}
	rc, err := l.SyscallConn()
	if err != nil || sock.IgnoreSYN(rc) != nil || l.SetDeadline(time.Now().Add(settling)) != nil {
		return
	}
	for {
		c, err := l.Accept()
		if err == nil {
			s.take(c)
		} else if !errors.Is(err, syscall.ECONNABORTED) {
			return
		}
	}
}

// empty accepts what the kernel has queued, because closing the socket would
// reset it. The queue is shortened first, so that little can arrive in between;
// who arrives later is told that nobody listens.
func (s *Socket) empty() {
	if p := s.packets(); p != nil {
		s.emptyPackets(p)
		return
	}
	sc, ok := s.l.(syscall.Conn)
	if !ok {
		return
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = rc.Control(func(fd uintptr) {
		_ = unix.Listen(int(fd), 0)
		for {
			nfd, err := sock.Accept(fd)
			if err == unix.EINTR || err == unix.ECONNABORTED {
				continue
			}
			if err != nil {
				return
			}
			if c := fromFD(nfd); c != nil {
				s.take(c)
			}
		}
	})
}

// fromFD makes a connection of a descriptor, which it takes over.
func fromFD(fd int) net.Conn {
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil
	}
	return c
}
