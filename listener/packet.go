package listener

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// packets is a UDP socket as a listener of QUIC connections. The socket and its
// connections outlive it: a socket of the same key that is wanted again while
// the old one drains goes on with them.
type packets struct {
	shared *datagrams
	mu     sync.Mutex
	l      net.Listener // nil before start
	closed bool
}

// datagrams is a UDP socket, held by each of the packets that use it.
type datagrams struct {
	pc   *net.UDPConn
	mu   sync.Mutex
	refs int
	end  flow.PacketEndpoint // nil before the first start
	was  legacy              // where the socket came from
}

// listenPackets binds a UDP socket, or takes over one that is handed to the
// process. Nothing is read of it before start.
func (h *Host) listenPackets(key Key, share bool) (*packets, error) {
	pc, was, err := h.Inherited.packet(key.Address)
	if pc == nil && err == nil {
		pc, err = bindPackets(key, share)
	}
	if err != nil {
		return nil, err
	}
	u, ok := pc.(*net.UDPConn)
	if !ok {
		_ = pc.Close()
		return nil, errors.New("no UDP socket")
	}
	return &packets{shared: &datagrams{pc: u, refs: 1, was: was}}, nil
}

func bindPackets(key Key, share bool) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		if share {
			if e := rc.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}); e != nil {
				return e
			}
		}
		return err
	}}
	return lc.ListenPacket(context.Background(), networkUDP, key.Address)
}

// again gives another listener on the same socket, nil if it is closed by now.
func (p *packets) again() *packets {
	d := p.shared
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refs == 0 {
		return nil
	}
	d.refs++
	return &packets{shared: d}
}

// start begins to take connections.
func (p *packets) start(server flow.PacketServer, source *flow.Source) error {
	d := p.shared
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.end == nil {
		secret := [64]byte{}
		if b := source.Load(); b.Packets != nil {
			secret = b.Packets.Secret
		}
		d.end = server.Endpoint(d.pc, &secret)
		if err := d.end.Succeed(d.was.links, d.was.begin); err != nil {
			return err
		}
	}
	l, err := d.end.Listen(source)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.l = l
	if p.closed { // it was retired before it had begun
		return l.Close()
	}
	return nil
}

// Accept implements net.Listener.
func (p *packets) Accept() (net.Conn, error) {
	p.mu.Lock()
	l := p.l
	p.mu.Unlock()
	if l == nil {
		return nil, net.ErrClosed
	}
	return l.Accept()
}

// Close stops taking connections. Those that there are go on.
func (p *packets) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.l != nil {
		return p.l.Close()
	}
	return nil
}

// SetDeadline has a waiting Accept end; there is no other use for it.
func (p *packets) SetDeadline(time.Time) error { return p.Close() }

// Addr gives the socket's address.
func (p *packets) Addr() net.Addr { return p.shared.pc.LocalAddr() }

// SyscallConn gives the socket.
func (p *packets) SyscallConn() (syscall.RawConn, error) { return p.shared.pc.SyscallConn() }

// release lets go of the socket; the last one closes it.
func (p *packets) release() {
	d := p.shared
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refs--; d.refs > 0 {
		return
	}
	if d.end != nil {
		_ = d.end.Close()
		return
	}
	_ = d.pc.Close()
}

// links gives the ways to the connections that stay here when another process goes on
// with the socket.
func (p *packets) links() []string {
	d := p.shared
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.end == nil {
		return nil
	}
	links, err := d.end.Links()
	if err != nil {
		return nil // its connections end with the handover, and clients come back
	}
	return links
}

// surrender leaves the socket to another process, which passes on what is for our
// connections. Without a way to them they end here: of two processes that read one
// socket each would get packets of the other's connections, and take them for garbage.
func (p *packets) surrender() {
	d := p.shared
	d.mu.Lock()
	passed := d.end == nil || d.end.Surrender()
	d.mu.Unlock()
	if !passed {
		_ = p.Close()
		_ = d.end.Close()
	}
}

// packets gives what the socket listens with, nil if it is no UDP socket.
func (s *Socket) packets() *packets {
	p, _ := s.l.(*packets)
	return p
}

// emptyPackets takes the connections that were made before the listener closed.
func (s *Socket) emptyPackets(p *packets) {
	_ = p.Close()
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		s.take(c)
	}
}

// revive goes on with the UDP socket of a Socket of that key that still drains,
// nil if there is none.
func (s *Set) revive(key Key) *Socket {
	if key.Network != networkUDP {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.retiring {
		if old.Key != key || old.ended.Load() {
			continue
		}
		if p := old.packets(); p != nil {
			if again := p.again(); again != nil {
				return s.host.socket(key, again)
			}
		}
	}
	return nil
}

// servePackets serves a QUIC connection, and says why it did not come about if it
// did not.
func (c *conn) servePackets() {
	c.socket.host.Packets.ServeConn(&c.Conn)
	if r, ok := c.Conn.Conn.(interface{ Refused() error }); ok && r.Refused() != nil {
		c.refuse("QUIC handshake failed", "client", c.Client.String(), "error", r.Refused())
	}
}
