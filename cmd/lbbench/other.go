//go:build !linux

// Command lbbench compares load balancers; it measures with what only Linux has.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "lbbench: it needs Linux: processors that processes are bound to, epoll, and CPU times from /proc")
	os.Exit(2)
}
