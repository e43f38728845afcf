// Package handler holds what a site can do with an exchange, one file a word.
package handler

import (
	"log/slog"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/matcher"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/transport"
)

// Module is one directive that acts on exchanges.
type Module struct {
	Spec spec.Word
	// New makes the handler of one directive; its error becomes a diagnostic
	// at the directive. A nil handler without an error means that the
	// directive only changed Env (an error page).
	New func(n *config.Node, env *Env) (flow.Handler, error)
}

// StreamModule is one directive that acts on streams of tcp sites.
type StreamModule struct {
	Spec spec.Word
	New  func(n *config.Node, env *Env) (StreamHandler, error)
}

// StreamHandler takes over a whole stream; done means that it was served.
type StreamHandler interface {
	HandleConn(c *flow.Conn, r *flow.Record) (done bool)
}

// Env is what a handler may ask of the site it stands in, while it is built.
type Env struct {
	Site *config.Site
	Log  *slog.Logger
	// Pool gives a pool by name; dsl/check has made sure that it exists.
	Pool func(name string) *pool.Pool
	// Transport gives what carries exchanges to a pool's servers.
	Transport func(p *pool.Pool) transport.Transport
	// Census tells what is running, while the handler serves; never nil.
	Census census.Source
	// Stopping tells whether the process has been told to stop; nil where nothing runs.
	Stopping func() bool
	// StreamIdle is the site's timeout of streams without traffic; 0: the
	// server's.
	StreamIdle time.Duration
	// Chain builds the routes of a block, for `handle`.
	Chain func(body []config.Node) (flow.Handler, error)
	// Match makes the condition of an option; nil is always true.
	Match func(when *config.Expr) (matcher.Matcher, error)
	// Errors are the site's error pages, which `error` fills in.
	Errors *ErrorPages
	// Forwarded is what the site tells servers of its clients; `forwardfor` and
	// `trusted_proxies` fill it in, wherever in the site they stand.
	Forwarded *Forwarded
	// Control takes changes at run time, such as draining a server; nil where
	// nothing runs, as in `loadstar check`.
	Control overlay.Control
}
