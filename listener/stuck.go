package listener

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Stuck names the sockets on which connections wait, and none was taken since the
// last call, though there is room for more. It is for a watchdog, which calls it
// seconds apart.
func (s *Set) Stuck() (names []string) {
	for _, sock := range s.Sockets() {
		n := sock.taken.Load()
		same := sock.looked.Swap(n) == n
		waiting := sock.backlog() > 0 && !sock.limit.full() && !s.host.Limit.full() && !s.host.reserve.yielded()
		if was := sock.waited.Swap(waiting); waiting && was && same {
			names = append(names, sock.Key.String())
		}
	}
	return names
}

// backlog tells how many connections the kernel has queued (tcp(7): tcpi_unacked of
// a listening socket); 0 where it cannot be told.
func (s *Socket) backlog() int {
	sc, ok := s.l.(syscall.Conn)
	if !ok {
		return 0
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = rc.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil && info.State == unix.BPF_TCP_LISTEN {
			n = int(info.Unacked)
		}
	})
	return n
}
