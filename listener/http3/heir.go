package http3

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
)

// When another process takes a UDP socket over, the connections that there are stay
// with the process that has their keys. The heir reads the socket alone; what belongs
// to a connection of a predecessor it passes on, over the loopback. It knows them by
// their connection IDs, which begin with a tag of the endpoint that made them (as
// Facebook's proxygen does; RFC 9000 §5.1 leaves their form to the server).

const (
	tagLen = 4
	idLen  = tagLen + 8 // of connection IDs
	keyLen = 16
	// relayed is room for a packet on its way to a predecessor: a datagram as quic-go
	// reads them, its ancillary data, and where it came from.
	relayed = 2048
)

type tag [tagLen]byte

// ids makes connection IDs of an endpoint (quic.ConnectionIDGenerator).
type ids tag

// GenerateConnectionID gives the tag and random bytes.
func (t ids) GenerateConnectionID() (quic.ConnectionID, error) {
	var b [idLen]byte
	copy(b[:], t[:])
	_, err := rand.Read(b[tagLen:])
	return quic.ConnectionIDFromBytes(b[:]), err
}

// ConnectionIDLen gives their length.
func (ids) ConnectionIDLen() int { return idLen }

// tagOf gives the tag of the connection that a packet is for, if it has one (RFC
// 8999 §5).
func tagOf(p []byte) (t tag, ok bool) {
	at := 1
	if len(p) > 0 && p[0]&0x80 != 0 {
		if at = 6; len(p) < at || p[5] != idLen {
			return t, false
		}
	}
	if len(p) < at+idLen {
		return t, false
	}
	return tag(p[at:]), true
}

// link is the way to a predecessor.
type link struct {
	tag  tag
	key  [keyLen]byte // opens every packet on it, so that nobody else's is taken
	port uint16       // of the loopback
	conn *net.UDPConn
}

// String gives it for the heir.
func (l *link) String() string {
	return hex.EncodeToString(l.tag[:]) + ":" + hex.EncodeToString(l.key[:]) + ":" + strconv.Itoa(int(l.port))
}

func parseLink(s string) (*link, error) {
	f := strings.Split(s, ":")
	if len(f) != 3 || len(f[0]) != 2*tagLen || len(f[1]) != 2*keyLen {
		return nil, fmt.Errorf("%q is no way to a predecessor", s)
	}
	l := &link{}
	port, err := strconv.ParseUint(f[2], 10, 16)
	_, errTag := hex.Decode(l.tag[:], []byte(f[0]))
	_, errKey := hex.Decode(l.key[:], []byte(f[1]))
	if err = errors.Join(err, errTag, errKey); err != nil {
		return nil, err
	}
	l.port = uint16(port)
	l.conn, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	return l, err
}

// socket is a UDP socket as quic-go reads it: in batches, and without the packets
// that are a predecessor's. One goroutine reads.
type socket struct {
	*net.UDPConn
	batch *ipv4.PacketConn
	begin <-chan struct{} // closed when this process may read; nil: at once
	older atomic.Pointer[map[tag]*link]
	out   []byte

	mu    sync.Mutex
	own   link                        // how an heir reaches this one
	relay atomic.Pointer[net.UDPConn] // where it does; nil until somebody asks
	gone  atomic.Bool                 // an heir reads
	in    []byte
	once  sync.Once
	stop  chan struct{} // closed when quic-go wants to end
}

func newSocket(pc *net.UDPConn) *socket {
	s := &socket{UDPConn: pc, batch: ipv4.NewPacketConn(pc), stop: make(chan struct{})}
	_, _ = rand.Read(s.own.tag[:]) // it does not fail (crypto/rand)
	_, _ = rand.Read(s.own.key[:])
	return s
}

// ReadBatch implements what quic-go reads by.
func (s *socket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	if s.begin != nil {
		select {
		case <-s.begin:
		case <-s.stop:
		}
		s.begin = nil
	}
	for !s.gone.Load() {
		n, err := s.batch.ReadBatch(ms, flags)
		if err != nil {
			if s.gone.Load() {
				break
			}
			return n, err
		}
		if older := s.older.Load(); older != nil {
			n = s.sort(ms[:n], *older)
		}
		if n > 0 {
			return n, nil
		}
	}
	return s.readRelay(ms)
}

// sort passes on what is a predecessor's, and moves the rest to the front. The
// buffers stay where they are, for quic-go knows them by their place.
func (s *socket) sort(ms []ipv4.Message, older map[tag]*link) (kept int) {
	for i := range ms {
		m := &ms[i]
		if t, ok := tagOf(m.Buffers[0][:m.N]); ok && older[t] != nil {
			s.pass(older[t], m)
			continue
		}
		if to := &ms[kept]; i != kept {
			to.N, to.NN, to.Flags, to.Addr = copy(to.Buffers[0], m.Buffers[0][:m.N]), copy(to.OOB, m.OOB[:m.NN]), m.Flags, m.Addr
		}
		kept++
	}
	return kept
}

// pass sends a packet to a predecessor. One that has ended is forgotten: quic-go then
// tells the client that the connection is no more.
func (s *socket) pass(l *link, m *ipv4.Message) {
	from := m.Addr.String()
	s.out = append(append(s.out[:0], l.key[:]...), byte(len(from)), byte(m.NN))
	s.out = append(append(append(s.out, from...), m.OOB[:m.NN]...), m.Buffers[0][:m.N]...)
	if _, err := l.conn.Write(s.out); err != nil && !errors.Is(err, net.ErrClosed) {
		rest := maps.Clone(*s.older.Load())
		delete(rest, l.tag)
		_ = l.conn.Close()
		if s.older.Store(&rest); len(rest) == 0 {
			s.older.Store(nil)
		}
	}
}

// readRelay reads what an heir passes on.
func (s *socket) readRelay(ms []ipv4.Message) (int, error) {
	relay := s.relay.Load()
	if s.in == nil {
		s.in = make([]byte, relayed)
	}
	for {
		n, _, err := relay.ReadFromUDPAddrPort(s.in)
		if err != nil {
			return 0, err
		}
		if s.open(s.in[:n], &ms[0]) {
			return 1, nil
		}
	}
}

// open takes a packet out of what pass has made of it.
func (s *socket) open(p []byte, m *ipv4.Message) bool {
	const head = keyLen + 2
	if len(p) < head || [keyLen]byte(p) != s.own.key {
		return false
	}
	addr, oob := int(p[keyLen]), int(p[keyLen+1])
	if p = p[head:]; len(p) < addr+oob || oob > len(m.OOB) {
		return false
	}
	from, err := netip.ParseAddrPort(string(p[:addr]))
	if err != nil {
		return false
	}
	m.Addr = net.UDPAddrFromAddrPort(from)
	m.NN = copy(m.OOB, p[addr:addr+oob])
	m.N = copy(m.Buffers[0], p[addr+oob:])
	m.Flags = 0
	return true
}

// SetReadDeadline is how quic-go ends its reading.
func (s *socket) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		s.once.Do(func() { close(s.stop) })
	}
	if r := s.relay.Load(); r != nil {
		_ = r.SetReadDeadline(t)
	}
	return s.UDPConn.SetReadDeadline(t)
}

// Links gives the ways to this endpoint and to those before it, for an heir.
func (e *Endpoint) Links() ([]string, error) {
	s := e.pc
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.relay.Load() == nil {
		relay, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, err
		}
		_ = relay.SetReadBuffer(1 << 20) // as much as the kernel allows
		s.own.port = relay.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		s.relay.Store(relay)
	}
	out := []string{s.own.String()}
	if older := s.older.Load(); older != nil {
		for _, l := range *older {
			out = append(out, l.String())
		}
	}
	return out, nil
}

// Succeed has the endpoint go on with the socket of others: it reads from begin on,
// and passes on what is theirs. It is for before Listen.
func (e *Endpoint) Succeed(links []string, begin <-chan struct{}) error {
	older := make(map[tag]*link, len(links))
	for _, text := range links {
		l, err := parseLink(text)
		if err != nil {
			return err
		}
		older[l.tag] = l
	}
	e.pc.begin = begin
	if len(older) > 0 {
		e.pc.older.Store(&older)
	}
	return nil
}

// Surrender leaves reading the socket to an heir that has Links. It is false if there
// is none, so that nothing would be passed on.
func (e *Endpoint) Surrender() bool {
	s := e.pc
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.relay.Load() == nil {
		return false
	}
	s.gone.Store(true)
	return s.UDPConn.SetReadDeadline(time.Unix(1, 0)) == nil
}

// end closes the ways from and to others.
func (s *socket) end() error {
	if r := s.relay.Load(); r != nil {
		_ = r.Close()
	}
	if older := s.older.Load(); older != nil {
		for _, l := range *older {
			_ = l.conn.Close()
		}
	}
	return s.UDPConn.Close()
}
