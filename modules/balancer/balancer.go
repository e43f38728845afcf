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

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Ask is what one choice depends on. It may live in whoever asks and be used
// again.
type Ask struct {
	Client   netip.Addr       // who asks, for `source`
	Exchange *flow.Exchange   // nil for streams; for keys made of the request
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

// Module is one algorithm: its words after `balance`, and its constructor.
type Module struct {
	Spec spec.Word
	New  func(n *config.Node) (Policy, error)
}
