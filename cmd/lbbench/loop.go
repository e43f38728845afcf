//go:build linux

package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// loop is a single-threaded event loop. The origin and the load generator share
// one core between them and must cost less than the proxy under test, so they
// do without the Go runtime's poller and its goroutine switches.
type loop struct {
	epfd   int
	byFD   []watcher
	events [512]unix.EpollEvent
	// scratch is for reads whose bytes are looked at once and dropped.
	scratch [256 << 10]byte
	// now is read once a batch of events.
	now time.Time
}

// watcher gets the events of one descriptor.
type watcher interface {
	ready(events uint32)
}

func newLoop() (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &loop{epfd: fd, now: time.Now()}, nil
}

// add watches a descriptor, level-triggered.
func (l *loop) add(fd int, w watcher, events uint32) error {
	for fd >= len(l.byFD) {
		l.byFD = append(l.byFD, make([]watcher, 1024)...)
	}
	l.byFD[fd] = w
	return unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// change asks for other events of a watched descriptor.
func (l *loop) change(fd int, events uint32) {
	_ = unix.EpollCtl(l.epfd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// drop stops watching and closes a descriptor.
func (l *loop) drop(fd int) {
	l.byFD[fd] = nil
	_ = unix.Close(fd)
}

// once waits for events for at most the given time and hands them out.
func (l *loop) once(wait time.Duration) error {
	n, err := unix.EpollWait(l.epfd, l.events[:], int(wait/time.Millisecond))
	l.now = time.Now()
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range n {
		e := &l.events[i]
		// An earlier event of the batch may have dropped this one's watcher.
		if w := l.byFD[e.Fd]; w != nil {
			w.ready(e.Events)
		}
	}
	return nil
}

// listen opens a listening socket on a loopback port and tells the port.
func listen(port int) (fd, bound int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, err
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return 0, 0, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, err
	}
	if in4, ok := sa.(*unix.SockaddrInet4); ok {
		bound = in4.Port
	}
	return fd, bound, nil
}

// acceptor takes new connections of a listening socket.
type acceptor struct {
	l  *loop
	fd int
	to func(l *loop, fd int) watcher
}

func (a *acceptor) ready(uint32) {
	for {
		fd, _, err := unix.Accept4(a.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if err := a.l.add(fd, a.to(a.l, fd), unix.EPOLLIN); err != nil {
			a.l.drop(fd)
		}
	}
}
