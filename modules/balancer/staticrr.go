package balancer

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var staticRR = Module{
	Spec: spec.Word{
		Name: "static_rr",
		Doc:  "Each server in its turn by a fixed table, as often as its weight says",
		Long: "HAProxy's `static-rr`. A server at its `maxconn` loses its turn and does not catch up, and `slow_start` " +
			"does not change its share. `roundrobin` spreads heavy servers more evenly; this is for those who depend on the order.",
		Example: "balance static_rr",
	},
	New: func(*config.Node) (Policy, error) { return staticRRPolicy{}, nil },
}

type staticRRPolicy struct{}

func (staticRRPolicy) Picker(servers []*upstream.Server) Picker {
	return &turns{servers: servers, places: mapped(servers), at: &servers[0].Group.Turn}
}
