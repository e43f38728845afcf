// Package persistence keeps a client on the server that it had before, one file
// a way to know the client again.
package persistence

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Affinity knows a client again. It is immutable and safe for use by many.
type Affinity interface {
	// Find gives the server that the client had before, nil if it had none or
	// none that could serve it now. It notes in the record what it found, and
	// takes out of the request what servers shall not see. It is called once an
	// exchange, before the first try.
	Find(x *flow.Exchange) *upstream.Server
	// Bind ties the client to the server whose answer is about to leave; it
	// is called once, from a response hook.
	Bind(x *flow.Exchange, s *upstream.Server)
}

// Module is one way: its words after `persist`, and its constructor.
type Module struct {
	Spec spec.Word
	New  func(n *config.Node, servers []*upstream.Server) (Affinity, error)
}
