// Package upstream holds servers: what the configuration says of one (Server,
// immutable, one a generation) and what outlives the configuration (Live:
// health verdict, slots in use, who waits for them, counters).
package upstream

import (
	"net/netip"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/wire/proxyproto"
)

// Key names a server across generations: a server that keeps all three keeps
// its Live. A Key with a Pool only names the pool's own Live, which counts what
// all its servers do and holds its queue.
type Key struct{ Pool, Name, Address string }

// Server is one server of a pool as configured. It is never changed.
type Server struct {
	Key
	Network   string // "tcp" or "unix"
	Dial      string // host:port or path, to be dialled
	Index     int    // position in the pool, from 0
	Weight    int    // 0–256; 0 drains
	Maxconn   int    // concurrent exchanges or streams; 0: no limit
	Minconn   int    // the limit without load; 0: always Maxconn
	Fullconn  int    // the pool's load at which Minconn has grown to Maxconn
	Maxqueue  int    // 0: no limit
	Backup    bool
	Disabled  bool
	Cookie    string
	SlowStart time.Duration
	Source    netip.Addr // to connect from; the zero Addr: the system's choice
	Timeouts  Timeouts
	AsClient  bool             // connect from the client's own address instead (IP_TRANSPARENT)
	Proxy     *proxyproto.Form // the PROXY header that begins each connection; nil: none
	TLS       *TLS             // nil: in clear
	Protocol  Protocol
	Range     diag.Range
	Live      *Live // never nil in a pool
	Group     *Live // the pool's own; never nil in a pool
}

// Protocol is the version of HTTP that a server is spoken to in.
type Protocol uint8

// The protocols.
const (
	H1   Protocol = iota // HTTP/1.1
	H2                   // HTTP/2: agreed on by TLS (ALPN), or in clear with prior knowledge
	Auto                 // by TLS, HTTP/2 or HTTP/1.1 as the server likes
	H3                   // HTTP/3, over QUIC
)

// Timeouts of the server side, named for the phase they guard; 0 is none.
type Timeouts struct {
	Connect   time.Duration // until the connection stands
	FirstByte time.Duration // from the request's last byte to the answer's head
	Idle      time.Duration // of a pooled connection between two exchanges
	Stall     time.Duration // without progress inside a body
	Tunnel    time.Duration // of a tunnel or a stream without traffic
	Queue     time.Duration // for a slot
}

// ShareScale is what a weight of 1 amounts to in Share, so that a server that
// starts slowly has steps below its weight (HAProxy's BE_WEIGHT_SCALE).
const ShareScale = 16

// Share is the server's part of the pool's traffic now: its weight times
// ShareScale, less while it starts slowly, never 0 unless the weight is.
func (s *Server) Share() int {
	w := s.Live.agent.part(s.WeightNow() * ShareScale)
	if r := int(s.Live.ramp.Load()); r != 0 && w > 0 {
		w = max(1, w*r/100)
	}
	return w
}

// Up reports whether the server may get traffic at all: it is not disabled, and
// no operator has put it into maintenance, and neither its probes nor its agent say
// that it is down. A drained one (weight 0) is up.
func (s *Server) Up() bool {
	down, _ := s.Live.Barred()
	return !s.Disabled && !down && s.Live.Verdict() == Up
}

// Usable reports whether the server takes part in balancing: up, with a weight,
// and not put out of rotation by failures to connect.
func (s *Server) Usable() bool {
	_, drained := s.Live.Barred()
	return s.WeightNow() > 0 && !drained && s.Up() && !s.Live.Ejected()
}

// Limit is how many slots the server has now; 0 means no limit. With minconn it
// grows with the pool's load (HAProxy manual, "minconn" and "fullconn").
func (s *Server) Limit() int64 {
	limit := int64(s.MaxconnNow())
	if limit == 0 {
		return 0
	}
	if s.Minconn > 0 && s.Minconn < s.Maxconn && s.Fullconn > 0 {
		if load := s.Group.Load(); load < int64(s.Fullconn) {
			limit = min(limit, max(int64(s.Minconn), load*limit/int64(s.Fullconn)))
		}
	}
	if r := int64(s.Live.ramp.Load()); r != 0 {
		limit = max(1, limit*r/100)
	}
	return limit
}

// Free reports whether a slot could be had now.
func (s *Server) Free() bool {
	if s.Live.trying() {
		return false
	}
	limit := s.Limit()
	return limit == 0 || s.Live.slots.Load() < limit
}

// Take takes a slot if one is free. A server on trial after failures to connect
// gives one exchange at a time.
func (s *Server) Take() bool {
	tried, ok := s.Live.try()
	if !ok {
		return false
	}
	if s.TakeForced() {
		return true
	}
	if tried {
		s.Live.untry()
	}
	return false
}

// TakeForced is Take for an exchange that can go nowhere else: it does not mind
// a trial.
func (s *Server) TakeForced() bool {
	l, limit := s.Live, s.Limit()
	for {
		n := l.slots.Load()
		if limit != 0 && n >= limit {
			return false
		}
		if l.slots.CompareAndSwap(n, n+1) {
			l.Traffic.Active.Note(n + 1)
			s.Group.Traffic.Active.Note(s.Group.slots.Add(1))
			l.Total.Add(1)
			s.Group.Total.Add(1)
			return true
		}
	}
}

// Give gives a slot back.
func (s *Server) Give() {
	s.Live.untry()
	s.Live.slots.Add(-1)
	s.Group.slots.Add(-1)
}
