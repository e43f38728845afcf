package listener

import (
	"net/netip"
	"time"
)

// ConnInfo is an open client connection, for reports.
type ConnInfo struct {
	ID       uint64
	Peer     netip.AddrPort // the other end of the socket; zero with a unix socket
	Client   netip.AddrPort // who the client is: the peer, or whom its PROXY header named
	Local    netip.AddrPort // our end of the socket
	Socket   string         // where it was accepted
	Accepted time.Time
	Idle     bool // no exchange is going on
}

// EachConn visits the open connections of all sockets, those that drain included,
// in no order.
func (s *Set) EachConn(visit func(ConnInfo)) {
	s.mu.Lock()
	all := make([]*Socket, 0, len(s.current)+len(s.retiring))
	for _, sock := range s.current {
		all = append(all, sock)
	}
	all = append(all, s.retiring...)
	s.mu.Unlock()
	for _, sock := range all {
		for _, c := range sock.connections() {
			visit(c)
		}
	}
}

// connections lists what is open. Only what accept wrote of a connection is read,
// and what is atomic: the rest belongs to the goroutine that serves it.
func (s *Socket) connections() []ConnInfo {
	out := make([]ConnInfo, 0, s.active.Load())
	s.open.each(func(c *conn) {
		client := c.Peer
		if said := c.said.Load(); said != nil {
			client = *said
		}
		out = append(out, ConnInfo{ID: c.ID, Peer: c.Peer, Client: client, Local: c.local, Socket: s.Key.String(), Accepted: c.Accepted, Idle: c.Resting()})
	})
	return out
}

// CloseConn closes one connection at once, whatever it does; false: it is gone.
func (s *Set) CloseConn(id uint64) bool {
	s.mu.Lock()
	all := append([]*Socket(nil), s.retiring...)
	for _, sock := range s.current {
		all = append(all, sock)
	}
	s.mu.Unlock()
	found := false
	for _, sock := range all {
		sock.open.each(func(c *conn) {
			if c.ID == id {
				found = true
				go func() { _ = c.Conn.Conn.Close() }() // closing can wait for who uses the descriptor
			}
		})
	}
	return found
}
