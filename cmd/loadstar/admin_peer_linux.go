package main

import (
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/sock"
)

// peerOf tells who is at the other end of a connection to the admin endpoint: of a
// unix socket the user, as the kernel knows it.
func peerOf(c net.Conn) string {
	if l, ok := c.(*limitedConn); ok {
		c = l.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return "loopback"
	}
	raw := sock.Raw(u)
	uid := -1
	if raw != nil {
		_ = raw.Control(func(fd uintptr) {
			if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
				uid = int(cred.Uid)
			}
		})
	}
	if uid < 0 {
		return "unix socket"
	}
	if known, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return known.Username
	}
	return "uid " + strconv.Itoa(uid)
}
