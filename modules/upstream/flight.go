package upstream

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"weak"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Flight is what reports are told of one exchange or stream while a server has
// it, and the means to end it from outside. It belongs to its exchange, which
// takes its lock a few times; nobody else does but a report. Flights are used
// again and again: only making one takes a lock that others use.
type Flight struct {
	mu     sync.Mutex
	turn   uint32 // how often it was used, so that an ID names one use of it
	slot   uint32
	server *Server // nil: at rest
	kind   FlightKind
	conn   uint64
	client netip.Addr
	method string
	target [targetRoom]byte
	length uint8
	cut    bool // target was longer
	site   string
	since  int64 // flow.Now
	by     io.Closer
	over   FlightEnd
}

// FlightEnd tells why a flight was ended from outside.
type FlightEnd uint8

// The ends.
const (
	NotEnded   FlightEnd = iota
	ByOrder              // somebody wants it off its server
	WithClient           // its client's connection was closed here: there is nobody to answer
)

// targetRoom is how much of a request target is shown.
const targetRoom = 96

// FlightKind tells exchanges from what lasts.
type FlightKind uint8

// The kinds.
const (
	ExchangeFlight FlightKind = iota
	TunnelFlight              // an upgraded connection, or CONNECT
	StreamFlight              // of a tcp site
)

// String gives the word of reports.
func (k FlightKind) String() string { return [...]string{"exchange", "tunnel", "stream"}[k] }

// FlightInfo is a Flight as it was at a moment.
type FlightInfo struct {
	ID     string
	Kind   FlightKind
	Server *Server
	Conn   uint64 // of the client; flow.Conn.ID
	Client netip.Addr
	Method string // "" of streams
	Target string // without its query; "…" stands for what was cut
	Site   string
	Since  int64 // flow.Now at which the server was chosen
}

// flights knows all Flights that are in use, and those that rest and are not yet
// collected. It is the process's, as the exchanges that rest in a pool are.
var flights struct {
	mu   sync.Mutex
	all  []weak.Pointer[Flight]
	free []uint32
	live int // slots in all that were given since the last sweep
}

// NewFlight makes a Flight at rest, for use again and again.
func NewFlight() *Flight {
	f := &Flight{}
	r := &flights
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.free) == 0 && r.live >= len(r.all)/2 {
		r.live = 0
		for i := range r.all { // what was collected leaves its slot
			if r.all[i].Value() == nil {
				r.free = append(r.free, uint32(i))
			}
		}
	}
	r.live++
	if n := len(r.free); n > 0 {
		f.slot = r.free[n-1]
		r.free = r.free[:n-1]
		r.all[f.slot] = weak.Make(f)
		return f
	}
	f.slot = uint32(len(r.all))
	r.all = append(r.all, weak.Make(f))
	return f
}

// Enter begins a flight: s was chosen for x.
func (f *Flight) Enter(s *Server, x *flow.Exchange) {
	f.mu.Lock()
	f.begin(s, ExchangeFlight, x.Conn, &x.Record)
	f.client = x.Client
	f.ask(x)
	f.mu.Unlock()
}

// EnterTunnel is Enter for what becomes of an exchange once it has left HTTP.
func (f *Flight) EnterTunnel(s *Server, x *flow.Exchange) {
	f.Enter(s, x)
	f.mu.Lock()
	f.kind = TunnelFlight
	f.mu.Unlock()
}

// EnterStream is Enter for a stream of a tcp site.
func (f *Flight) EnterStream(s *Server, c *flow.Conn, r *flow.Record) {
	f.mu.Lock()
	f.begin(s, StreamFlight, c, r)
	f.mu.Unlock()
}

func (f *Flight) begin(s *Server, kind FlightKind, c *flow.Conn, r *flow.Record) {
	f.turn++
	f.server, f.kind, f.site, f.since, f.by, f.over = s, kind, r.Site, r.Timings.Slot, nil, NotEnded
	f.conn, f.client, f.method, f.length, f.cut = 0, netip.Addr{}, "", 0, false
	if c != nil {
		f.conn, f.client = c.ID, c.Client.Addr()
	}
}

func (f *Flight) ask(x *flow.Exchange) {
	n := copy(f.target[:], x.Req.Original)
	f.method, f.length, f.cut = x.Req.Method, uint8(n), n < len(x.Req.Original)
}

// Carry names what is to be closed to end the flight; nil: nothing is any more.
// If the flight was to be ended before that, it is closed now. It implements
// flow.Flight.
func (f *Flight) Carry(by io.Closer) {
	f.mu.Lock()
	shut := f.over != NotEnded && by != nil && f.server != nil
	f.by = by
	f.mu.Unlock()
	if shut {
		_ = beneath(by).Close()
	}
}

// Ended tells why it was ended from outside: what then fails is not its server's fault.
func (f *Flight) Ended() FlightEnd {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

// Leave ends a flight.
func (f *Flight) Leave() {
	f.mu.Lock()
	f.server, f.by, f.site, f.method = nil, nil, "", ""
	f.mu.Unlock()
}

func (f *Flight) id() string { return fmt.Sprintf("%d-%d", f.slot, f.turn) }

// EachFlight visits what is in flight, in no order, without locks held.
func EachFlight(visit func(FlightInfo)) {
	for _, f := range known() {
		if i, ok := f.info(); ok {
			visit(i)
		}
	}
}

func (f *Flight) info() (i FlightInfo, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server == nil {
		return i, false
	}
	i = FlightInfo{ID: f.id(), Kind: f.kind, Server: f.server, Conn: f.conn, Client: f.client,
		Method: f.method, Site: f.site, Since: f.since}
	target, cut := f.target[:f.length], f.cut
	for k, c := range target {
		if c == '?' { // a query may hold what is nobody's business
			target, cut = target[:k], false
			break
		}
	}
	if i.Target = string(target); cut {
		i.Target += "…"
	}
	return i, true
}

func known() []*Flight {
	flights.mu.Lock()
	defer flights.mu.Unlock()
	out := make([]*Flight, 0, len(flights.all))
	for _, w := range flights.all {
		if f := w.Value(); f != nil {
			out = append(out, f)
		}
	}
	return out
}

// ShutFlights ends what is in flight and chosen, and counts it. The connection
// to the server is closed: an exchange that has no answer yet may go to another
// server, as after any failure; its server is not blamed.
func ShutFlights(choose func(FlightInfo) bool) (n int) { return endFlights(ByOrder, choose) }

// AbandonFlights ends what is in flight for clients whose connections were closed
// here. It goes to no other server.
func AbandonFlights(conns []uint64) (n int) {
	gone := make(map[uint64]bool, len(conns))
	for _, id := range conns {
		gone[id] = true
	}
	return endFlights(WithClient, func(f FlightInfo) bool { return gone[f.Conn] })
}

func endFlights(why FlightEnd, choose func(FlightInfo) bool) (n int) {
	for _, f := range known() {
		i, ok := f.info()
		if ok && choose(i) && f.end(i.ID, why) {
			n++
		}
	}
	return n
}

// end closes what carries the flight, if it is still the one with that ID. The
// lock is held meanwhile, so that nothing is closed that another exchange has by now.
func (f *Flight) end(id string, why FlightEnd) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server == nil || f.over != NotEnded || f.id() != id { // one end is enough
		return false
	}
	f.over = why
	if f.by != nil {
		_ = beneath(f.by).Close()
	}
	return true
}

// beneath gives the socket of a connection: closing TLS would wait for whoever
// writes at the moment.
func beneath(c io.Closer) io.Closer {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return c
}

var _ flow.Flight = (*Flight)(nil)
