// Package measure counts what passes through Loadstar: exchanges and streams by
// what became of them, bytes, and how long each phase took. A Traffic is what is
// counted of one site, pool or server; it outlives configurations and is filled
// in at one place, where the Record of an exchange is finished.
//
// Writing takes no lock and allocates nothing (but for a histogram's first
// values in an octave). Everything that needs a clock or a sum over time, such as
// rates, maxima and sparklines, is done by one ticker of the process (see Trend)
// and by readers, not by each request.
package measure

import (
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Phase is a part of an exchange's life that has a histogram.
type Phase uint8

// The phases.
const (
	Queue    Phase = iota // from asking for a slot of a server to having it; 0 for who did not wait
	Connect               // making a connection; exchanges on one that stood already are not in it
	Response              // from the connection to the whole head of the answer; not of streams
	Total                 // from the first byte of the request (of a stream: from accept) to the end
	Phases   = 4
)

// String gives the word of the phase.
func (p Phase) String() string {
	return [...]string{"queue", "connect", "response", "total"}[p]
}

// Class is what kind of status an exchange was answered with.
type Class uint8

// The classes; 1 to 5 are the statuses' first digits. NoStatus has streams, and
// exchanges whose client left before an answer.
const (
	NoStatus Class = iota
	Classes        = 6
)

// String gives "none", "1xx", … "5xx".
func (c Class) String() string {
	return [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[c]
}

// ClassOf gives the class of a status, NoStatus for what is none.
func ClassOf(status int) Class {
	if status < 100 || status > 599 {
		return NoStatus
	}
	return Class(status / 100)
}

// Failure is how an exchange or stream went wrong. Each has one at most, the
// first cause of its end.
type Failure uint8

// The failures. NoFailure is every other end, errors that servers answered with
// among them: those are in the classes.
const (
	NoFailure     Failure = iota
	Denied                // a rule refused it
	BadRequest            // it could not be read, or did not come in time
	ClientAborted         // the client left, or stopped to read or to send, before the end
	QueueFailed           // no slot in time, or the queue was full
	ConnectFailed         // no connection to a server, or no usable server
	AnswerFailed          // the answer was late, broken or missing
	ServerAborted         // the server broke off its answer or the stream
	Internal              // Loadstar's own fault
	Failures      = 9
)

// String gives the word of the failure, as metrics label it.
func (f Failure) String() string {
	return [...]string{"none", "denied", "bad_request", "client_abort", "queue", "connect", "answer", "server_abort", "internal"}[f]
}

// FailureOf reads it from the termination state, whose letters are HAProxy's
// (its configuration manual, "Session state at disconnection").
func FailureOf(r *flow.Record) Failure {
	switch r.Cause {
	case 0, '-', 'L':
		return NoFailure
	}
	client := r.Cause == 'C' || r.Cause == 'c'
	switch {
	case r.Bad, client && r.Phase == byte(flow.PhaseRequest):
		return BadRequest
	case client:
		return ClientAborted
	}
	switch flow.Phase(r.Phase) {
	case flow.PhaseRequest, flow.PhaseTarpit:
		if r.Status == 500 && r.Phase == byte(flow.PhaseRequest) {
			return Internal
		}
		return Denied
	case flow.PhaseQueue:
		return QueueFailed
	case flow.PhaseConnect:
		return ConnectFailed
	case flow.PhaseHeaders:
		return AnswerFailed
	case flow.PhaseData, flow.PhaseLast:
		if r.Cause == 'S' || r.Cause == 's' {
			return ServerAborted
		}
	}
	return Internal
}

// Traffic is what is counted of one site, pool or server. The zero Traffic is
// ready; it is not to be copied.
type Traffic struct {
	own   cell
	cells atomic.Pointer[[]cell] // nil: own alone
	// Active is how many exchanges and streams were in progress at most.
	Active Peak
	// Queued is how many waited at most.
	Queued Peak
	// Trend holds rates and recent history; see Tick.
	Trend Trend
}

// cell is a share of the counts, so that processors do not fight for one line of
// memory.
type cell struct {
	classes      [Classes]atomic.Uint64
	failures     [Failures]atomic.Uint64
	in, out      atomic.Uint64
	retries      atomic.Uint64
	redispatches atomic.Uint64
	phases       [Phases]Histogram
	_            [64]byte
}

// Spread has the counts kept in n cells, a power of two, chosen by connection: for
// sites and pools on machines with many processors. Only the first call with n
// above 1 does anything; counts are kept.
func (t *Traffic) Spread(n int) {
	if n > 1 && n&(n-1) == 0 {
		more := make([]cell, n)
		t.cells.CompareAndSwap(nil, &more)
	}
}

// Count takes the record of an exchange or a stream that has ended. It is called
// once for each site, pool and server that the record is about.
func (t *Traffic) Count(r *flow.Record) {
	c := &t.own
	if more := t.cells.Load(); more != nil {
		c = &(*more)[r.ConnID&uint64(len(*more)-1)]
	}
	status := r.Status
	if r.Stream {
		status = 0
	}
	c.classes[ClassOf(status)].Add(1)
	if f := FailureOf(r); f != NoFailure {
		c.failures[f].Add(1)
	}
	c.in.Add(uint64(max(r.BytesIn, 0)))
	c.out.Add(uint64(max(r.BytesOut, 0)))
	if r.Retries > 0 {
		c.retries.Add(uint64(r.Retries))
	}
	if r.Redispatched {
		c.redispatches.Add(1)
	}
	c.times(r)
}

// times observes the phases that were reached.
func (c *cell) times(r *flow.Record) {
	t := &r.Timings
	begin := t.FirstByte
	if begin == 0 || r.Stream {
		begin = t.Accept
	}
	if begin != 0 && t.End >= begin {
		c.phases[Total].Observe(time.Duration(t.End - begin))
	}
	if t.Slot == 0 {
		return
	}
	if t.Queued != 0 {
		c.phases[Queue].Observe(time.Duration(t.Slot - t.Queued))
	}
	if r.Fresh && t.Connected >= t.Slot {
		c.phases[Connect].Observe(time.Duration(t.Connected - t.Slot))
	}
	if from := max(t.Connected, t.Slot); t.Answer >= from {
		c.phases[Response].Observe(time.Duration(t.Answer - from))
	}
}

// all visits the cells.
func (t *Traffic) all(visit func(*cell)) {
	visit(&t.own)
	if more := t.cells.Load(); more != nil {
		for i := range *more {
			visit(&(*more)[i])
		}
	}
}

// Counts is what a Traffic has counted so far.
type Counts struct {
	Classes      [Classes]uint64  `json:"classes"` // by Class; their sum is all exchanges or streams
	Failures     [Failures]uint64 `json:"failures"`
	BytesIn      uint64           `json:"bytes_in"`  // from clients, heads included
	BytesOut     uint64           `json:"bytes_out"` // to clients, heads included
	Retries      uint64           `json:"retries"`
	Redispatches uint64           `json:"redispatches"`
}

// Exchanges is how many exchanges or streams have ended.
func (c *Counts) Exchanges() (n uint64) {
	for _, k := range c.Classes {
		n += k
	}
	return n
}

// Failed is how many exchanges or streams ended with a failure.
func (c *Counts) Failed() (n uint64) {
	for _, k := range c.Failures {
		n += k
	}
	return n
}

// Counts gives the counts. Those of exchanges that end meanwhile may be in it in
// part.
func (t *Traffic) Counts() (out Counts) {
	t.all(func(c *cell) {
		for i := range c.classes {
			out.Classes[i] += c.classes[i].Load()
		}
		for i := range c.failures {
			out.Failures[i] += c.failures[i].Load()
		}
		out.BytesIn += c.in.Load()
		out.BytesOut += c.out.Load()
		out.Retries += c.retries.Load()
		out.Redispatches += c.redispatches.Load()
	})
	return out
}

// Read adds what a phase's histogram holds to s.
func (t *Traffic) Read(p Phase, s *Snapshot) {
	t.all(func(c *cell) { c.phases[p].Read(s) })
}

// Times gives a phase's histogram.
func (t *Traffic) Times(p Phase) *Snapshot {
	s := new(Snapshot)
	t.Read(p, s)
	return s
}
