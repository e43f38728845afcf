// Package health asks servers whether they are well: one file a probe, the
// rise/fall machine, and the Monitor that runs a probe at its cadence and
// survives reloads.
package health

import (
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Target is where a probe goes.
type Target struct {
	Network string     // "tcp" or "unix"
	Address string     // host:port or path
	Name    string     // pool/server, for logs
	Source  netip.Addr // to connect from; the zero Addr: the system's choice
	Connect time.Duration
	TLS     *tls.Config // how the server is spoken to; nil: in clear
	// Protocol is the version of HTTP that the server is spoken to in. Probes know
	// HTTP/1.1 and HTTP/2; a server of HTTP/3 is probed in HTTP/1.1.
	Protocol upstream.Protocol
	// Ahead is sent first on each connection, before TLS; nil: nothing. It is not changed.
	Ahead  []byte
	Answer time.Duration // for everything behind the connection; 0: what the context leaves
}

// Probe asks once. It gives nil when the server is well and otherwise a
// *Failure that says what was found. It ends soon after ctx does, reads a
// bounded number of bytes and keeps nothing. It is safe for use by many.
type Probe interface {
	Probe(ctx context.Context, t *Target) (Result, error)
}

// Result is what a probe found, in HAProxy's words, for logs.
type Result struct {
	Reason string // "Layer7 check passed", "Layer4 timeout"
	Code   int    // the status of the answer, 0: none
	Info   string // what the server or the system said; printable
	// Notice is what a person should know though the server is well: a
	// certificate that expires soon. Printable.
	Notice string
	Advice *upstream.Advice // of an agent; nil: not an agent, or nothing understood
}

// Failure is the error of a Probe.
type Failure struct{ Result }

// Error gives reason, code and info.
func (f *Failure) Error() string { return f.String() }

// Module is one probe: its words after `health`, and its constructor.
type Module struct {
	Spec spec.Word
	New  func(n *config.Node) (Probe, error)
}

// Settings are the cadence and the thresholds of a monitor.
type Settings struct {
	Interval time.Duration // between two probes of a server whose state is settled
	Fast     time.Duration // while it is on the way to another state
	Down     time.Duration // while it is down for good
	Timeout  time.Duration // of the answer, after the connection stands
	Rise     int           // successes that bring it up
	Fall     int           // failures that bring it down
	Initial  Initial       // the state before the first probe
}
