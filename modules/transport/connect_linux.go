package transport

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// transparent lets a socket be bound to an address that is not this machine's
// (ip(7), IP_TRANSPARENT). Its port is chosen when it connects, so that it may be
// one that another connection from the same address to elsewhere has.
func transparent(network, _ string, rc syscall.RawConn) error {
	var err error
	if e := rc.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return
		}
		if strings.HasSuffix(network, "6") {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1)
			return
		}
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1)
	}); e != nil {
		return e
	}
	return err
}
