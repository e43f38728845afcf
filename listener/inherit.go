package listener

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inherited are bound sockets that another process has handed to this one: the
// process it replaces, or systemd (sd_listen_fds(3)). Whoever wants an address
// that one of them has gets that socket instead of binding a new one. A nil
// Inherited has none. Its methods may be called from any goroutine.
type Inherited struct {
	mu    sync.Mutex
	list  []*heirloom
	begin chan struct{} // see Hold
}

// legacy is what else there is to know of a UDP socket that another process had.
type legacy struct {
	links []string        // the ways to the connections that stay there
	begin <-chan struct{} // closed when it reads no more; nil: nobody else reads
}

// Hold has UDP sockets not be read before Begin: until then the process that they came
// from does.
func (h *Inherited) Hold() { h.begin = make(chan struct{}) }

// Begin ends Hold.
func (h *Inherited) Begin() {
	if h.begin != nil {
		close(h.begin)
	}
}

// Link gives the ways to the connections of a socket, the i-th added, that stay with
// the process which it came from.
func (h *Inherited) Link(i int, links []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i < len(h.list) {
		h.list[i].links = links
	}
}

// heirloom is one such socket; what it is bound to was asked of the kernel.
type heirloom struct {
	file    *os.File
	network string         // "tcp", "udp" or "unix"
	addr    netip.AddrPort // of tcp and udp
	dual    bool           // an IPv6 socket that takes IPv4, too
	path    string         // of unix
	keep    bool           // the file of a unix socket is not ours to remove
	taken   bool
	links   []string
}

// Add takes a descriptor over, with keep set if the file of a unix socket stays
// when the process ends, as that of systemd's does. Its error, for what cannot be
// listened on, leaves the descriptor open.
func (h *Inherited) Add(fd int, keep bool) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fmt.Errorf("descriptor %d is no socket: %w", fd, err)
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return fmt.Errorf("descriptor %d: %w", fd, err)
	}
	if kind != unix.SOCK_DGRAM && (kind != unix.SOCK_STREAM || listens == 0) {
		return fmt.Errorf("descriptor %d is a socket that does not listen", fd)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("descriptor %d: %w", fd, err)
	}
	l := &heirloom{keep: keep, network: "tcp"}
	if kind == unix.SOCK_DGRAM {
		l.network = "udp"
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		l.addr = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		only, _ := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		l.addr, l.dual = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)), only == 0
	case *unix.SockaddrUnix:
		if kind != unix.SOCK_STREAM {
			return fmt.Errorf("descriptor %d is a unix socket of datagrams", fd)
		}
		l.network, l.path = "unix", a.Name
	default:
		return fmt.Errorf("descriptor %d is a socket of an unknown family", fd)
	}
	unix.CloseOnExec(fd)
	// Before it becomes an os.File, which else would set it back to blocking: for
	// both processes, since the flag is the socket's.
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("descriptor %d: %w", fd, err)
	}
	l.file = os.NewFile(uintptr(fd), l.String())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, l)
	return nil
}

// String gives the address, as a site would be written.
func (l *heirloom) String() string {
	switch l.network {
	case "unix":
		return "unix/" + l.path
	case "udp":
		return "udp " + l.addr.String()
	default:
		return l.addr.String()
	}
}

// Listen gives the inherited socket of a key, or binds one as the function of that
// name does.
func (h *Inherited) Listen(key Key) (net.Listener, error) {
	l, err := h.stream(key)
	if err != nil || l != nil {
		return l, err
	}
	return Listen(key)
}

// stream gives the inherited socket of a key; nil if there is none.
func (h *Inherited) stream(key Key) (net.Listener, error) {
	in := h.take(key)
	if in == nil {
		return nil, nil
	}
	defer in.file.Close() // what is made of it has a descriptor of its own
	l, err := net.FileListener(in.file)
	if err != nil {
		return nil, err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(!in.keep)
	} else if err := key.dress(l); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// packet gives the inherited UDP socket of host:port or :port; nil if there is none.
func (h *Inherited) packet(address string) (net.PacketConn, legacy, error) {
	in := h.take(Key{Network: networkUDP, Address: address})
	if in == nil {
		return nil, legacy{}, nil
	}
	defer in.file.Close()
	pc, err := net.FilePacketConn(in.file)
	return pc, legacy{in.links, h.begin}, err
}

// dress gives a socket that somebody else has bound the options that it would have
// had.
func (k Key) dress(l net.Listener) error {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return errors.New("a listener without a descriptor")
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	if e := rc.Control(func(fd uintptr) { err = k.set(int(fd), "tcp", false) }); e != nil {
		return e
	}
	if err == nil && k.Options.Backlog > 0 {
		err = k.backlog(l)
	}
	return err
}

// take finds the socket that serves a key best, once.
func (h *Inherited) take(key Key) *heirloom {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var best *heirloom
	fit := 0
	for _, l := range h.list {
		if n := l.fits(key); !l.taken && n > fit {
			best, fit = l, n
		}
	}
	if best != nil {
		best.taken = true
	}
	return best
}

// fits tells how well a socket serves a key, 0: not at all.
func (l *heirloom) fits(key Key) int {
	if l.network != key.Network {
		return 0
	}
	if l.network == "unix" {
		a, errA := filepath.Abs(l.path)
		b, errB := filepath.Abs(key.Address)
		if errA == nil && errB == nil && a == b {
			return 1
		}
		return 0
	}
	host, port, err := net.SplitHostPort(key.Address)
	if err != nil || port != strconv.Itoa(int(l.addr.Port())) {
		return 0
	}
	ip := l.addr.Addr().Unmap()
	if host != "" {
		if want, err := netip.ParseAddr(host); err != nil || want.Unmap() != ip {
			return 0
		}
		return 1
	}
	// ":80" is every address: best in one socket, else those of IPv4.
	switch {
	case !ip.IsUnspecified():
		return 0
	case l.dual:
		return 3
	case ip.Is4():
		return 2
	default:
		return 1
	}
}

// Taken gives the indices, in the order of Add, of the sockets that are in use.
func (h *Inherited) Taken() []int {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []int
	for i, l := range h.list {
		if l.taken {
			out = append(out, i)
		}
	}
	return out
}

// Close closes the sockets that nobody wanted, and gives their addresses.
func (h *Inherited) Close() (unwanted []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.list {
		if !l.taken {
			l.taken = true
			unwanted = append(unwanted, l.String())
			_ = l.file.Close()
		}
	}
	return unwanted
}
