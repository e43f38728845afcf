package listener

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Handed is a socket that another process may go on with.
type Handed struct {
	File   *os.File // a descriptor of its own; whoever got it closes it
	Links  []string // of a UDP socket: the ways to the connections that stay here
	socket *Socket
}

// Hand gives the sockets that accept now, for another process. Nothing changes for
// them before Leave.
func (s *Set) Hand() ([]Handed, error) {
	var out []Handed
	for _, sock := range s.Sockets() {
		f, err := Duplicate(sock.l)
		if err != nil {
			for _, h := range out {
				_ = h.File.Close()
			}
			return nil, fmt.Errorf("%s: %w", sock.Key, err)
		}
		h := Handed{File: f, socket: sock}
		if p := sock.packets(); p != nil {
			h.Links = p.links()
		}
		out = append(out, h)
	}
	return out, nil
}

// Duplicate gives a descriptor of a listener, or of a UDP socket, for another
// process. The File method of package net would do, but for setting the socket to
// blocking when it is passed on, in this process, too.
func Duplicate(l any) (*os.File, error) {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%T has no descriptor", l)
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	dup := -1
	if e := rc.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dup), "handed"), nil
}

// Release has a listener closed without an end for the other process that has it.
func Release(l net.Listener) {
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
}

// Surrender tells sockets that another process has them now; it reads the UDP sockets
// among them from then on. Leave is to follow.
func Surrender(handed []Handed) {
	for _, h := range handed {
		if h.socket.handed.Swap(true) {
			continue
		}
		Release(h.socket.l)
		if p := h.socket.packets(); p != nil {
			p.surrender()
		}
	}
}

// Leave stops accepting on all sockets. Those in handed are another process's now:
// what the kernel has queued there is left to it. Connections end after their next
// exchange, streams when they are over, nothing is cut; it returns when the last
// has ended, or with ctx. Shutdown may follow.
func (s *Set) Leave(ctx context.Context, handed []Handed) {
	Surrender(handed)
	s.mu.Lock()
	for _, sock := range s.current {
		s.dismiss(sock)
	}
	clear(s.current)
	all := s.retiring
	s.mu.Unlock()

	for _, sock := range all {
		sock.open.each(func(c *conn) { c.Farewell() })
	}
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for !ended(all) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
