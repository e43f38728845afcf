package flow

import (
	"net/netip"
	"time"
)

// Record is what became of an exchange or of a stream, for the loggers. Its
// byte slices are borrowed and die with the exchange: a logger formats at once.
type Record struct {
	Start      time.Time // accept, or first byte of the request; wall clock
	Client     netip.AddrPort
	Local      netip.AddrPort
	Site       string // the frontend of the log line
	TLS        bool
	Pool       string // "" until one was chosen: the site's name is then logged
	Server     string // "" : <NOSRV>
	ServerAddr string
	Timings    Timings

	Method   string
	URI      []byte // as received
	Version  string // "HTTP/1.1"
	Bad      bool   // the request could not be parsed: <BADREQ>
	Status   int    // 0: none was sent (logged as -1)
	BytesOut int64  // to the client, heads included
	BytesIn  int64  // from the client, heads included
	BodyOut  int64  // to the client, body alone, as handlers gave it

	Cause, Phase          byte // termination state, letters 1 and 2; 0 is '-'
	CookieIn, CookieOut   byte // letters 3 and 4; 0 is '-'
	ReqCookie, RespCookie []byte
	ReqCaptures           [][]byte // nil: no capture declared
	RespCaptures          [][]byte
	Fields                [][]byte  // values of Captures.Fields, nil where there was none
	Captures              *Captures // what was captured; nil: nothing
	cookieIn, cookieOut   []byte    // of Captures.Cookie, with its name

	ActConn, SiteConn, PoolConn, ServerConn int64 // concurrent, at the end
	Retries                                 int
	Redispatched                            bool
	ServerQueue, PoolQueue                  int64 // requests ahead when queued

	// Req and Conn are where the record comes from, for what only some formats
	// write; Req is nil for streams, both in tests of formats alone.
	Req  *Request
	Conn *Conn
	// User is who the client has proved to be; empty if nobody asked.
	User []byte
	// Matched has bit n set if the site's n-th condition on logging holds.
	Matched uint64

	// Tally counts the record where the exchange ended up: its server, or the pool
	// that had none for it. nil: it came to no pool.
	Tally Tally
	Fresh bool // the last try made a connection to the server, rather than using one again

	Trace *Trace // nil: the exchange is not traced

	Err    error // the last error, for logs of causes
	Stream bool  // a TCP stream rather than an exchange: tcplog
	Silent bool  // not to be logged
	ConnID uint64
	owned  []byte // what Own copied
}

// Tally counts the records of exchanges and streams that have ended.
type Tally interface{ Count(r *Record) }

// Timings are moments of the monotonic clock (see Now), 0 when not reached.
type Timings struct {
	Accept    int64 // the connection
	FirstByte int64 // of the request
	Head      int64 // the whole head was there
	Queued    int64 // a slot was asked for
	Slot      int64 // a slot was had: queueing ended
	Connected int64 // the connection to the server stood
	Answer    int64 // the whole head of the server's answer was there
	End       int64 // the last byte was sent
}

func (r *Record) reset() {
	req, resp, fields := r.ReqCaptures[:0], r.RespCaptures[:0], r.Fields[:0]
	*r = Record{owned: r.owned[:0]}
	if cap(req) > 0 {
		r.ReqCaptures = req
	}
	if cap(resp) > 0 {
		r.RespCaptures = resp
	}
	if cap(fields) > 0 {
		r.Fields = fields
	}
}

// Own copies what was borrowed from the server's answer, which may die before
// the exchange does. Captures are copies already.
func (r *Record) Own() { r.RespCookie = r.own(r.RespCookie) }

func (r *Record) own(v []byte) []byte {
	if len(v) == 0 {
		return v
	}
	n := len(r.owned)
	r.owned = append(r.owned, v...)
	return r.owned[n:len(r.owned):len(r.owned)]
}

// Terminate notes the termination state if none has been noted yet: the first cause
// of an end is the one that counts.
func (r *Record) Terminate(cause, phase byte) {
	if r.Cause == 0 || r.Cause == '-' {
		r.Cause, r.Phase = cause, phase
	}
}

var epoch = time.Now()

// Now gives the monotonic clock in nanoseconds since the process started, plus
// one so that it is never zero. It costs half of time.Now.
func Now() int64 { return int64(time.Since(epoch)) + 1 }

// At gives the Now value of a time with a monotonic clock reading.
func At(t time.Time) int64 { return int64(t.Sub(epoch)) + 1 }

// Time is the reverse of At; it keeps the monotonic clock, for deadlines.
func Time(at int64) time.Time { return epoch.Add(time.Duration(at - 1)) }

// EpochTime is the moment Now counts from.
func EpochTime() time.Time { return epoch }
