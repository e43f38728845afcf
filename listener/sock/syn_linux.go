package sock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// IgnoreSYN has a listening TCP socket take no new connection, without a word to who
// asks: it will ask again after a second (RFC 6298 §2), and then find who listens by
// that time. Handshakes that have begun go on, and what is queued stays.
func IgnoreSYN(rc syscall.RawConn) error {
	// The filter sees the segment from the TCP header on; its byte 13 holds the flags.
	const flags, syn = 13, 0x02
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	var err error
	if e := rc.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	}); e != nil {
		return e
	}
	return err
}
