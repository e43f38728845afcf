// Package persistence keeps a client on the server that it had before, one file
// a way to know the client again: by a cookie, or by a key (its address, a
// header field, any template) that a sticky table remembers.
package persistence

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Affinity knows a client again. It is immutable and safe for use by many.
type Affinity interface {
	// Find gives the server that the client had before, nil if it had none or
	// none that is up. It notes in the record what it found, and takes out of
	// the request what servers shall not see. It is called once an exchange,
	// before the first try.
	Find(x *flow.Exchange, v *Visit) *upstream.Server
	// Bind ties the client to the server whose answer is about to leave; it
	// is called once, from a response hook, or when a stream stands.
	Bind(x *flow.Exchange, v *Visit, s *upstream.Server)
	// NeedsHTTP says what of an HTTP exchange it reads, "" if it serves
	// streams, too. A stream's exchange has nothing but Conn and Client.
	NeedsHTTP() string
}

// Visit is what an Affinity remembers between Find and Bind of one exchange. It
// belongs to who calls them, who may use it again.
type Visit struct {
	direct      bool   // Find named a server, and the exchange has not moved elsewhere
	last, first int64  // what a cookie says of its dates, Unix seconds; 0: nothing
	key         []byte // in the table
	known       string // the server that the table names
}

// Reset readies a Visit for another exchange; its room is kept.
func (v *Visit) Reset() { *v = Visit{key: v.key[:0]} }

// Moved notes that the exchange goes to another server than the one that Find
// named: the client will have to be bound anew. In the log, a valid cookie then
// counts as one of a server that is down, as with HAProxy.
func (v *Visit) Moved(r *flow.Record) {
	v.direct = false
	if r.CookieIn == 'V' {
		r.CookieIn = 'D'
	}
}

// Module is one way: its words after `persist`, and its constructor.
type Module struct {
	Spec spec.Word
	New  func(n *config.Node, env *Env) (Affinity, error)
}

// Env is what an Affinity may ask of its pool while it is built.
type Env struct {
	Pool    string
	Servers []*upstream.Server // in the order of the configuration
	// Named gives a table of the configuration by name.
	Named func(name string) (TableSpec, bool)
	// Table lends a table; it outlives the configuration.
	Table func(TableSpec) *Table
	// Warnings is where doubts about the configuration go.
	Warnings *diag.List
}

func (e *Env) warn(at diag.Range, rule, format string, args ...any) {
	e.Warnings.Add(at, rule, format, args...).Severity = diag.Warning
}
