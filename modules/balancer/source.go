package balancer

import (
	"encoding/binary"
	"net/netip"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var source = Module{
	Spec: spec.Word{
		Name: "source",
		Doc:  "The same server for the same client address, while the servers stay the same",
		Long: "The address is mapped onto the total weight of the usable servers, so most clients change their " +
			"server when one goes down or comes up. A client whose server is full waits for it.",
		Example: "balance source",
	},
	New: func(*config.Node) (Policy, error) { return sourcePolicy{}, nil },
}

type sourcePolicy struct{}

func (sourcePolicy) Picker(servers []*upstream.Server) Picker {
	return &sourcePicker{hashMap: newHashMap(servers), rest: rrPolicy{}.Picker(servers)}
}

type sourcePicker struct {
	hashMap
	rest Picker // for clients without an address (unix sockets)
}

func (p *sourcePicker) Pick(a *Ask) *upstream.Server {
	if !a.Client.IsValid() {
		return p.rest.Pick(a)
	}
	return p.pick(a, sourceHash(a.Client), p.rest)
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
