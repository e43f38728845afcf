//go:build !linux

package main

import "net"

// peerOf tells what is at the other end of a connection to the admin endpoint.
func peerOf(c net.Conn) string {
	if c.LocalAddr().Network() == "unix" {
		return "unix socket"
	}
	return "loopback"
}
