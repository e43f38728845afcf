// Package listener turns sockets into connections: it binds, accepts within
// limits, keeps track of what is open, and drains. Sockets outlive
// configurations; what a configuration makes of one is its flow.Binding, which a
// reload replaces by storing one pointer.
//
// The path of a connection is accept.go, then conn.go.
package listener

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Host is what all sockets of the process share.
type Host struct {
	// Protocol serves the connections of sockets whose binding has no Streams.
	Protocol flow.ConnServer
	// HTTP2 serves those whose TLS handshake agreed on "h2"; nil: Protocol does.
	HTTP2 flow.ConnServer
	// Packets serves UDP sockets; nil: there are none.
	Packets flow.PacketServer
	Log     *slog.Logger
	// Limit bounds the connections of the process.
	Limit Limit
	// Accepted and Panics count over the life of the process.
	Accepted, Panics atomic.Uint64
	// Inherited are sockets that are taken over instead of being bound; may be nil.
	Inherited *Inherited
	reserve   reserve
	trim      trimmer
}

// NewHost gives a Host without a limit and without sockets. Close gives back what
// it holds.
func NewHost(protocol flow.ConnServer, log *slog.Logger) *Host {
	if log == nil {
		log = slog.Default()
	}
	h := &Host{Protocol: protocol, Log: log}
	h.reserve.refill()
	return h
}

// Close gives the held-back descriptors up; sockets are closed by their Set.
func (h *Host) Close() { h.reserve.yield() }

// Connections counts the client connections of the process.
func (h *Host) Connections() int64 { return h.Limit.Active() }

// Socket is one listening socket. It survives reloads that keep its Key.
type Socket struct {
	Key      Key
	host     *Host
	l        net.Listener
	source   flow.Source
	refusals refusals
	active   atomic.Int64
	limit    Limit
	open     tracker

	taken, looked atomic.Uint64 // connections accepted; of those, when Stuck looked
	waited        atomic.Bool   // there was a queue when Stuck looked

	handed   atomic.Bool // another process accepts on it, too
	replaced atomic.Bool // it retires by a change, while the process goes on
	stopping atomic.Bool
	stop     chan struct{} // closed with stopping set
	accepted atomic.Bool   // the accept loop has ended
	ended    atomic.Bool
	done     chan struct{} // closed when stopped and nothing is open
	retire   sync.Once
}

// Bind opens a socket and has it listen, so that nothing can fail later. It
// accepts nothing before Start. Its error is a BindError.
func (h *Host) Bind(key Key) (*Socket, error) {
	s, err := h.bind(key, false)
	if err != nil {
		return nil, &BindError{Key: key, Reason: reason(key, err), Err: err}
	}
	return s, nil
}

func (h *Host) bind(key Key, share bool) (*Socket, error) {
	if key.Network == networkUDP {
		p, err := h.listenPackets(key, share)
		if err != nil {
			return nil, err
		}
		return h.socket(key, p), nil
	}
	l, err := h.Inherited.stream(key)
	if l == nil && err == nil {
		l, err = listen(key, share)
	}
	if err != nil {
		return nil, err
	}
	return h.socket(key, l), nil
}

func (h *Host) socket(key Key, l net.Listener) *Socket {
	return &Socket{Key: key, host: h, l: l, stop: make(chan struct{}), done: make(chan struct{})}
}

// Addr is the address bound, with the port that was chosen for port 0.
func (s *Socket) Addr() net.Addr { return s.l.Addr() }

// Active counts the open connections.
func (s *Socket) Active() int64 { return s.active.Load() }

// Rebind has connections and exchanges served by b from now on; maxconn bounds
// the connections of the socket, 0 leaves it to the process.
func (s *Socket) Rebind(b *flow.Binding, maxconn int) {
	s.source.Store(b)
	s.limit.Set(maxconn)
}

// Start begins to accept. Rebind must have been called.
func (s *Socket) Start() {
	if p := s.packets(); p != nil {
		if err := p.start(s.host.Packets, &s.source); err != nil { // the system lacks what QUIC needs
			s.host.Log.Error("cannot serve HTTP/3", "socket", s.Key.String(), "error", err)
		}
	}
	go s.accept()
}

// Retire stops accepting, once what the kernel has queued has been accepted. Open
// connections end after the exchange in progress. The socket holds the
// generation it was bound to until the last of them is closed.
func (s *Socket) Retire() {
	s.retire.Do(func() {
		b := *s.source.Load()
		b.Draining = true
		b.Generation.Acquire()
		s.source.Store(&b)
		s.stopping.Store(true)
		close(s.stop)
		s.interrupt()
		s.limit.Wake()
		s.host.Limit.Wake()
	})
}

// discard closes a socket that was never started.
func (s *Socket) discard() {
	_ = s.l.Close()
	if p := s.packets(); p != nil {
		p.release()
	}
}

// Done is closed when a retired socket has no connection left.
func (s *Socket) Done() <-chan struct{} { return s.done }

// checkEnd closes Done when the accept loop and all connections have ended.
func (s *Socket) checkEnd() {
	if s.accepted.Load() && s.active.Load() == 0 && s.ended.CompareAndSwap(false, true) {
		if p := s.packets(); p != nil {
			p.release()
		}
		s.source.Load().Generation.Release()
		close(s.done)
	}
}
