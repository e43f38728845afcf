package listener

import (
	"syscall"

	"github.com/loadstar-lb/loadstar/listener/sock"
)

// Stuck names the sockets on which connections wait, and none was taken since the
// last call, though there is room for more. It is for a watchdog, which calls it
// seconds apart.
func (s *Set) Stuck() (names []string) {
	for _, l := range s.Sockets() {
		n := l.taken.Load()
		same := l.looked.Swap(n) == n
		waiting := l.backlog() > 0 && !l.limit.full() && !s.host.Limit.full() && !s.host.reserve.yielded()
		if was := l.waited.Swap(waiting); waiting && was && same {
			names = append(names, l.Key.String())
		}
	}
	return names
}

// backlog tells how many connections the kernel has queued; 0 where it cannot be told.
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
	_ = rc.Control(func(fd uintptr) { n = sock.Queued(fd) })
	return n
}
