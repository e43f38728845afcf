package upstream

import (
	"crypto/tls"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// TLS is how a server is spoken to by TLS. It is not changed.
type TLS struct {
	// Config has the name that probes and exchanges ask for, unless Name says
	// another for each exchange.
	Config *tls.Config
	// Name builds the server name (SNI) of an exchange; nil: the one of Config.
	Name Namer
	// Key is equal for settings under which connections may be shared.
	Key string
}

// Namer builds a name of what an exchange says; modules/template is one.
type Namer interface {
	Append(dst []byte, x *flow.Exchange) []byte
}
