package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifier tells systemd how the process is (sd_notify(3)), when systemd has
// asked for it by NOTIFY_SOCKET.
type notifier struct{ addr *net.UnixAddr }

func newNotifier() *notifier {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return &notifier{}
	}
	if strings.HasPrefix(name, "@") { // the abstract namespace
		name = "\x00" + name[1:]
	}
	return &notifier{&net.UnixAddr{Name: name, Net: "unixgram"}}
}

func (n *notifier) ready() { n.send("READY=1") }
func (n *notifier) alive() { n.send("WATCHDOG=1") }

// stopping asks for the time that it may take, and some for the rest of the way.
func (n *notifier) stopping(wait time.Duration) {
	n.send(fmt.Sprintf("STOPPING=1\nEXTEND_TIMEOUT_USEC=%d", (wait + 10*time.Second).Microseconds()))
}

// replaced names the process that goes on.
func (n *notifier) replaced(pid int) { n.send(fmt.Sprintf("MAINPID=%d", pid)) }

// reloading carries the clock by which systemd tells this reload from an
// earlier one (Type=notify-reload).
func (n *notifier) reloading() {
	var now unix.Timespec
	if n.addr != nil && unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
	}
}

// send is best effort: nobody but systemd minds.
func (n *notifier) send(state string) {
	if n.addr == nil {
		return
	}
	c, err := net.DialUnix("unixgram", nil, n.addr)
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write([]byte(state))
}
