// Package balancer holds the ways to choose a server, one file an algorithm.
//
// A Policy makes a Picker of the servers that are usable now, off the path; a
// Picker is never changed, but for the atomics that carry its position or its
// order, and picks without a lock and without allocating. When the servers that
// are usable change, the pool makes a new Picker and swaps it in. Counters that
// must outlive it are the servers' own (upstream.Live).
package balancer

import (
	"net/netip"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Ask is what one choice depends on. It may live in whoever asks and be used
// again.
type Ask struct {
	Client   netip.Addr       // who asks, for `source`
	Exchange *flow.Exchange   // nil for streams, but for a Keyed policy's; for keys made of the request
	Body     []byte           // the beginning of the request's body, where a BodyPolicy asked for it
	Tried    *upstream.Server // to be avoided when there is another
	Forced   *upstream.Server // the server that persistence found, nil: balance
	Done     <-chan struct{}  // closed when the client has left; nil: cannot be told
	Leaver   Leaver           // asked now and then while the exchange waits; nil: cannot be told
	Priority int              // in the queue, where a greater one goes first

	// Bound is set by a Picker that chose by a hash: the server is waited for
	// when it is full, rather than another one taken.
	Bound bool
}

// Leaver tells whether the client has left meanwhile.
type Leaver interface{ Left() bool }

// Policy is a way to choose. It is immutable.
type Policy interface {
	// Picker makes a picker of usable servers (at least one, each with a
	// weight), which are given in the order of the configuration.
	Picker(servers []*upstream.Server) Picker
}

// Picker chooses. Pick gives nil when every server is full.
type Picker interface {
	Pick(a *Ask) *upstream.Server
}

// Tracker is a Picker that keeps its servers in an order by load. The pool tells
// it when a slot of a server was taken or given back.
type Tracker interface {
	Picker
	Update(s *upstream.Server)
}

// Binder is a Picker that chooses by a hash, and may set Ask.Bound.
type Binder interface {
	Picker
	Binds()
}

// Observer is a Picker that goes by how long servers take. The pool tells it
// what became of each try.
type Observer interface {
	Picker
	// Observe notes that a try took d, and whether it had an answer.
	Observe(s *upstream.Server, d time.Duration, ok bool)
}

// Need is what a Policy chooses by.
type Need uint8

// The needs.
const (
	NeedsNothing  Need = iota // of Ask, or no more than Client
	NeedsExchange             // Ask.Exchange, be it one that stands for a stream
	NeedsRequest              // Ask.Exchange with a request in it: it is no policy for streams
)

// Keyed is a Policy that makes its choice of what is asked.
type Keyed interface {
	Policy
	Needs() Need
}

// BodyPolicy is a Policy that looks into request bodies.
type BodyPolicy interface {
	Policy
	// BodyLimit gives how many bytes of x's body are to be waited for and put
	// into Ask.Body, at most; 0: none.
	BodyLimit(x *flow.Exchange) int
}

// Module is one algorithm: its words after `balance`, and its constructor.
type Module struct {
	Spec spec.Word
	// New makes the policy; what it refuses is a diag.Diagnostic where there is a
	// better place for it than the directive.
	New func(n *config.Node) (Policy, error)
}

func refuse(at diag.Range, text string, help ...string) error {
	return diag.Diagnostic{Range: at, Rule: "bad-balance", Message: text, Help: help}
}
