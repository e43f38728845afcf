package modules

import "github.com/loadstar-lb/loadstar/dsl/spec"

// proxiedWord is `proxy_protocol` of sites: whose word on the client is believed.
func proxiedWord() spec.Word {
	return spec.Word{
		Name: "proxy_protocol", In: spec.InSite, Example: "proxy_protocol from 10.0.0.0/8",
		Doc: "Load balancers in front of Loadstar that send a PROXY header (version 1 or 2) at the start of each connection",
		Long: "The address in it is then the client's, everywhere: for `client`, logs, `forwardfor`, `balance source`. From the networks of `from` " +
			"every connection must begin with a header, and is closed otherwise; from all others none is looked for. HTTP/3 has no such " +
			"header: QUIC from those networks is refused, from others it is served. Addresses of health checks " +
			"(LOCAL, UNKNOWN) are those of the connection. A checksum is verified; what else the header says is in {proxy.authority}, " +
			"{proxy.unique_id}, {proxy.tls.version} and the like. Sites that share a port must agree. At a unix socket, whose permissions say " +
			"who may connect, everyone sends a header.",
		Options: []spec.Word{
			{Name: "from", Doc: "who sends the header",
				Args: []spec.Arg{{Name: "NETWORK", Kind: spec.Network, Variadic: true, Doc: "networks or addresses that nobody else can connect from"}}},
			{Name: "timeout", Default: "5s", Doc: "how long the header may take to come",
				Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Min: 1, Doc: "a time"}}},
		},
	}
}
