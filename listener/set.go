package listener

import (
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Want is a socket as one configuration wants it.
type Want struct {
	Key     Key
	Binding *flow.Binding
	Maxconn int // of the socket; 0: only the process's
}

// Set is the sockets in use. Its methods but Prepare and Commit may be called
// from any goroutine; those belong to whoever applies configurations, one at a
// time.
type Set struct {
	host     *Host
	mu       sync.Mutex
	current  map[Key]*Socket
	retiring []*Socket
}

// NewSet gives an empty set.
func NewSet(h *Host) *Set { return &Set{host: h, current: map[Key]*Socket{}} }

// Change is a set of sockets ready to be put to use. Commit or Rollback ends it.
type Change struct {
	set   *Set
	wants []Want
	fresh map[Key]*Socket
	lent  []*Socket // old sockets that share their port for the handover
}

// Prepare binds what is wanted and not there yet. On an error everything is as
// it was, and the errors name every want that cannot be had.
func (s *Set) Prepare(wants []Want) (*Change, []*BindError) {
	c := &Change{set: s, wants: wants, fresh: map[Key]*Socket{}}
	var errs []*BindError
	for i := range wants {
		w := &wants[i]
		if s.current[w.Key] != nil || c.fresh[w.Key] != nil {
			continue
		}
		sock, err := s.revive(w.Key), error(nil)
		if sock == nil {
			sock, err = s.host.bind(w.Key, false)
		}
		if errors.Is(err, syscall.EADDRINUSE) && c.lend(w.Key) {
			sock, err = s.host.bind(w.Key, true)
		}
		if err != nil {
			errs = append(errs, &BindError{Want: i, Key: w.Key, Reason: reason(w.Key, err), Err: err})
			continue
		}
		c.fresh[w.Key] = sock
	}
	if errs != nil {
		c.Rollback()
		return nil, errs
	}
	return c, nil
}

// lend has sockets of ours that stand in the way of a new one, and that the new
// configuration does not want, share their port: ":80" can then give way to
// "10.0.0.1:80" without a moment in which nobody listens.
func (c *Change) lend(key Key) bool {
	_, port, err := net.SplitHostPort(key.Address)
	if key.Network == "unix" || err != nil {
		return false
	}
	found := false
	for k, s := range c.set.current {
		_, p, err := net.SplitHostPort(k.Address)
		dropped := !slices.ContainsFunc(c.wants, func(w Want) bool { return w.Key == k })
		if k.Network == key.Network && err == nil && p == port && dropped && s.share(1) {
			c.lent = append(c.lent, s)
			found = true
		}
	}
	return found
}

// share turns sharing of the port on or off.
func (s *Socket) share(on int) bool {
	rc, err := s.l.(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	if e := rc.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, on)
	}); e != nil {
		return false
	}
	return err == nil
}

// Rollback closes what Prepare bound.
func (c *Change) Rollback() {
	for _, s := range c.fresh {
		s.discard()
	}
	for _, s := range c.lent {
		s.share(0)
	}
}

// Commit serves the new bindings, on sockets old and new, and retires those that
// are not wanted any more. It cannot fail.
func (c *Change) Commit() {
	s := c.set
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[Key]*Socket, len(c.wants))
	for i := range c.wants {
		w := &c.wants[i]
		sock, fresh := s.current[w.Key], false
		if sock == nil {
			sock, fresh = c.fresh[w.Key], next[w.Key] == nil
		}
		sock.Rebind(w.Binding, w.Maxconn)
		next[w.Key] = sock
		if fresh {
			if len(c.lent) > 0 {
				sock.share(0)
			}
			sock.Start()
		}
	}
	for k, sock := range s.current {
		if next[k] == nil {
			sock.replaced.Store(true)
			s.dismiss(sock)
		}
	}
	s.current = next
}

// dismiss retires a socket and remembers it while connections are open on it.
func (s *Set) dismiss(sock *Socket) {
	sock.Retire()
	s.retiring = slices.DeleteFunc(s.retiring, func(o *Socket) bool { return o.ended.Load() })
	s.retiring = append(s.retiring, sock)
}

// Sockets gives the sockets that accept now.
func (s *Set) Sockets() []*Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Socket, 0, len(s.current))
	for _, sock := range s.current {
		out = append(out, sock)
	}
	return out
}
