// Package upstream holds servers: what the configuration says of one (Server,
// immutable, one a generation) and what outlives the configuration (Live:
// health verdict, slots in use, counters).
package upstream

import (
	"time"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// Key names a server across generations: a server that keeps all three keeps
// its Live.
type Key struct{ Pool, Name, Address string }

// Server is one server of a pool as configured. It is never changed.
type Server struct {
	Key
	Network   string // "tcp" or "unix"
	Dial      string // host:port or path, to be dialled
	Index     int    // position in the pool, from 0
	Weight    int    // 0–256; 0 drains
	Maxconn   int    // concurrent exchanges or streams; 0: no limit
	Minconn   int
	Maxqueue  int // 0: no limit
	Backup    bool
	Disabled  bool
	Cookie    string
	SlowStart time.Duration
	Timeouts  Timeouts
	Range     diag.Range
	Live      *Live
}

// Timeouts of the server side, named for the phase they guard; 0 is none.
type Timeouts struct {
	Connect   time.Duration // until the connection stands
	FirstByte time.Duration // from the request's last byte to the answer's head
	Idle      time.Duration // of a pooled connection; of a stream without traffic
	Stall     time.Duration // without progress inside a body
	Tunnel    time.Duration // of a tunnel without traffic
	Queue     time.Duration // for a slot
}
