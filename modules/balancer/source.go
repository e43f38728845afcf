package balancer

import (
	"encoding/binary"
	"net/netip"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var source = Module{
	Spec: spec.Word{
		Name: "source",
		Doc:  "The same server for the same client address, while the servers stay the same",
		Long: "With `map` the address is mapped onto the total weight of the usable servers, so most clients change their " +
			"server when one goes down or comes up. A client whose server is full waits for it.",
		Example: "balance source consistent",
		Options: hashOptions(),
	},
	New: func(n *config.Node) (Policy, error) { return newHash(n, sourceKey{}) },
}

type sourceKey struct{}

func (sourceKey) needs() Need { return NeedsNothing }

// hash finds no key in clients without an address (unix sockets).
func (sourceKey) hash(a *Ask) (uint32, bool) {
	if !a.Client.IsValid() {
		return 0, false
	}
	return sourceHash(a.Client), true
}

// sourceHash joins the big-endian words of an address by exclusive or (HAProxy's
// get_server_sh).
func sourceHash(ip netip.Addr) uint32 {
	ip = ip.Unmap()
	if ip.Is4() {
		b := ip.As4()
		return binary.BigEndian.Uint32(b[:])
	}
	b, h := ip.As16(), uint32(0)
	for i := 0; i < len(b); i += 4 {
		h ^= binary.BigEndian.Uint32(b[i:])
	}
	return h
}
