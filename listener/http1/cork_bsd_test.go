//go:build darwin || freebsd

package http1

import "golang.org/x/sys/unix"

// cork is the option that has the kernel wait for full segments.
const cork = unix.TCP_NOPUSH
