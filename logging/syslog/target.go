package syslog

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	gsyslog "github.com/hashicorp/go-syslog"
	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/logging"
)

// idleTrust is how long a TCP connection may lie idle and still be written to. A peer that
// went away meanwhile would swallow the next line without an error, and
// go-syslog does not show the connection that could be asked.
const idleTrust = time.Second

// deliverWithin ends a delivery early, between two lines.
const deliverWithin = 50 * time.Millisecond

// localSockets are where go-syslog looks for the local daemon.
var localSockets = []string{"/dev/log", "/var/run/syslog", "/var/run/log"}

// target sends lines over a connection that it may have to make anew at any time.
type target struct {
	network, address string // network "": the local daemon
	facility, tag    string
	conn             gsyslog.Syslogger // nil until dialled
	sent             time.Time         // when a line was last sent
	socket           identity          // of the unix socket, when it was dialled
}

// identity tells a socket from another of the same name.
type identity struct{ dev, ino uint64 }

// Deliver sends one message a line.
func (t *target) Deliver(lines []logging.Line) (int, error) {
	now := time.Now()
	if t.conn != nil && t.network == "tcp" && now.Sub(t.sent) > idleTrust {
		t.hangUp()
	}
	if t.conn == nil {
		if err := t.dial(); err != nil {
			return 0, err
		}
	}
	for i, l := range lines {
		// go-syslog repeats a failed write once, over a new connection.
		if err := t.conn.WriteLevel(gsyslog.Priority(l.Level), l.Text); err != nil {
			if errors.Is(err, syscall.EMSGSIZE) {
				return i, fmt.Errorf("%w: %w", logging.ErrUnwritable, err)
			}
			// Dialled anew by us next time: the socket there may be of
			// another type by then.
			t.hangUp()
			return i, err
		}
		// A peer that hangs costs a timeout a line, and go-syslog's second
		// try may succeed each time: the queue must not wait for them all.
		if t.sent = time.Now(); t.sent.Sub(now) > deliverWithin {
			return i + 1, nil
		}
	}
	return len(lines), nil
}

// dial connects. Unix sockets of syslog daemons are datagram ones as a rule, stream
// ones now and then.
func (t *target) dial() error {
	const severity = gsyslog.LOG_INFO // WriteLevel gives each line its own
	t.socket = identify(t.paths())
	var err error
	switch t.network {
	case "":
		t.conn, err = gsyslog.NewLogger(severity, t.facility, t.tag)
	case "unix":
		t.conn, err = gsyslog.DialLogger("unixgram", t.address, severity, t.facility, t.tag)
		if errors.Is(err, syscall.EPROTOTYPE) {
			t.conn, err = gsyslog.DialLogger("unix", t.address, severity, t.facility, t.tag)
		}
	default:
		t.conn, err = gsyslog.DialLogger(t.network, t.address, severity, t.facility, t.tag)
	}
	if err != nil {
		t.conn = nil // not an interface that holds a nil pointer
	}
	return err
}

// Check lets go of a unix socket whose name stands for another one now: a daemon that
// was replaced without closing its old socket would never be left otherwise.
func (t *target) Check() {
	if t.conn != nil && t.network != "udp" && t.network != "tcp" && identify(t.paths()) != t.socket {
		t.hangUp()
	}
}

func (t *target) paths() []string {
	switch t.network {
	case "":
		return localSockets
	case "unix":
		return []string{t.address}
	default:
		return nil
	}
}

// identify gives the first of the sockets that is there.
func identify(paths []string) identity {
	for _, p := range paths {
		var st unix.Stat_t
		if unix.Stat(p, &st) == nil {
			return identity{uint64(st.Dev), st.Ino} //nolint:unconvert // Dev is narrower on some systems
		}
	}
	return identity{}
}

// Reopen has nothing to do: there is no file.
func (t *target) Reopen() error { return nil }

func (t *target) hangUp() {
	_ = t.Close()
}

// Close closes the connection; what the kernel has taken is still sent.
func (t *target) Close() error {
	if t.conn == nil {
		return nil
	}
	err := t.conn.Close()
	t.conn = nil
	return err
}
