package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/sock"
)

// Key tells sockets apart. A reload keeps a socket whose key is the same.
type Key struct {
	Network string // "tcp", "unix" or "udp" (QUIC)
	Address string // host:port, :port, or a path
	Options Options
}

// Options of a socket that are set when it is bound.
type Options struct {
	// Backlog is how many connections the kernel queues; 0: as many as it allows.
	Backlog int
	// KeepAlive is after what silence the kernel probes the peer; 0: DefaultKeepAlive,
	// negative: never.
	KeepAlive time.Duration
	// Mode are the permissions of a unix socket; 0: what the umask leaves.
	Mode os.FileMode
}

// DefaultKeepAlive finds peers that vanished without closing, far below the
// kernel's own two hours and rarely enough to cost nothing.
const DefaultKeepAlive = time.Minute

// String gives the address as a user writes it.
func (k Key) String() string {
	if k.Network != "tcp" {
		return k.Network + "/" + k.Address
	}
	return k.Address
}

const networkUDP = "udp"

// Listen binds and listens for whoever accepts by himself, such as the admin
// endpoint. A stale unix socket is replaced. Its error is a BindError.
func Listen(key Key) (net.Listener, error) {
	l, err := listen(key, false)
	if err != nil {
		return nil, &BindError{Key: key, Reason: reason(key, err), Err: err}
	}
	return l, nil
}

// listen binds and listens. share allows another socket of ours that shares the
// port, for the moment of a handover.
func listen(key Key, share bool) (net.Listener, error) {
	if key.Network == "unix" {
		if err := clearStale(key.Address); err != nil {
			return nil, err
		}
	}
	lc := net.ListenConfig{
		KeepAlive: -1, // accepted sockets inherit it below, without calls of their own
		Control: func(network, _ string, rc syscall.RawConn) error {
			var err error
			if e := rc.Control(func(fd uintptr) { err = key.set(int(fd), network, share) }); e != nil {
				return e
			}
			return err
		},
	}
	// A multipath socket costs more per connection, and few clients use it.
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), key.Network, key.Address)
	if err != nil {
		return nil, err
	}
	if key.Network == "unix" && key.Options.Mode != 0 {
		err = modeAfterBind(key.Address, key.Options.Mode.Perm())
	}
	if err == nil && key.Options.Backlog > 0 {
		err = key.backlog(l)
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// set is called between socket and bind. Accepted sockets inherit TCP options
// from the listening one.
func (k Key) set(fd int, network string, share bool) error {
	if network == "unix" {
		if k.Options.Mode == 0 {
			return nil
		}
		return modeBeforeBind(fd, k.Options.Mode.Perm())
	}
	if share {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
	}
	every := k.Options.KeepAlive
	if every == 0 {
		every = DefaultKeepAlive
	}
	if every > 0 {
		secs := max(1, int(every/time.Second))
		for _, o := range [][3]int{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, sock.KeepIdle, secs},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, max(1, secs/4)},
		} {
			if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
				return err
			}
		}
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

// backlog shortens the queue; listen may be called again (listen(2)).
func (k Key) backlog(l net.Listener) error {
	rc, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	if e := rc.Control(func(fd uintptr) { err = unix.Listen(int(fd), k.Options.Backlog) }); e != nil {
		return e
	}
	return err
}

// clearStale removes the socket file of a process that is gone.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil //nolint:nilerr // bind will say what is wrong, if anything
	}
	if info.Mode()&os.ModeSocket == 0 {
		return errors.New("a file that is no socket is in the way")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return syscall.EADDRINUSE
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // only that says that nobody listens
		return syscall.EADDRINUSE
	}
	return os.Remove(path)
}

// BindError says why an address cannot be bound.
type BindError struct {
	Want   int // which of the wants it was, when several were asked for
	Key    Key
	Reason string
	Err    error
}

// Error names the address and the reason.
func (e *BindError) Error() string { return fmt.Sprintf("cannot listen on %s: %s", e.Key, e.Reason) }

// Unwrap gives the error of the system.
func (e *BindError) Unwrap() error { return e.Err }

// reason says in words what the system's error means for an address.
func reason(key Key, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "the address is in use by another process"
	case errors.Is(err, syscall.EACCES) && key.Network == "unix":
		return "no permission to create the socket there"
	case errors.Is(err, syscall.EACCES):
		return "no permission: ports below 1024 need root or CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine has no such address"
	case errors.Is(err, syscall.ENOENT):
		return "the directory does not exist"
	default:
		return err.Error()
	}
}
