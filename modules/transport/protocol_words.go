package transport

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// ProtocolWord is `protocol` in pools.
func ProtocolWord() spec.Word {
	return spec.Word{
		Name: "protocol", In: spec.InPool,
		Doc: "The version of HTTP that the servers are spoken to in; without it, HTTP/1.1",
		Long: "`h2` is HTTP/2 by TLS, `h2c` HTTP/2 in clear, which the servers must be known to speak; gRPC needs either. `auto` offers both versions " +
			"by TLS and takes what the server prefers. `h3` is HTTP/3, over QUIC to the UDP port of the server's address, with the settings of `tls`; it goes " +
			"with neither `proxy_protocol` nor `source client`. Over HTTP/2 and HTTP/3 exchanges share connections, up to 100 on each, or fewer if the server says so; " +
			"`maxconn` counts exchanges all the same. Requests to switch protocols, such as WebSocket's, reach such servers if they " +
			"take extended CONNECT (RFC 8441, RFC 9220). Probes of `health http` speak what this says, but for `h3`, whose servers are probed by TCP; `health grpc` speaks HTTP/2. " +
			"`auto` never takes HTTP/3.",
		Example: "protocol h2c",
		Args: []spec.Arg{{Name: "VERSION", Kind: spec.Enum, Words: []string{"h1", "h2", "h2c", "auto", "h3"},
			Doc: "h1, h2, h2c, auto or h3"}},
	}
}

// ServerProtocolWord is the option `protocol` of a server.
func ServerProtocolWord() spec.Word {
	w := ProtocolWord()
	w.In, w.Doc, w.Long = 0, "The version of HTTP that this server is spoken to in, if not the pool's", ""
	w.Example = "server s1 10.0.0.1:50051 protocol h2c"
	return w
}

// NewProtocol reads `protocol` of a pool or of its server; either may be nil. t is
// how the server is spoken to by TLS, nil in clear. Its error has a place.
func NewProtocol(pool, server *config.Node, t *upstream.TLS) (upstream.Protocol, error) {
	n := server
	if n == nil {
		n = pool
	}
	if n == nil {
		return upstream.H1, nil
	}
	wrong := func(rule, message, help string) error {
		return diag.Diagnostic{Range: n.Range, Rule: rule, Message: message, Help: []string{help}}
	}
	switch n.Text(0) {
	case "h2":
		if t == nil {
			return 0, wrong("protocol-without-tls", "`protocol h2` is agreed on by TLS, and the server is spoken to in clear",
				"add `tls`, or write `protocol h2c` if the server speaks HTTP/2 in clear")
		}
		return upstream.H2, nil
	case "h3":
		if t == nil {
			return 0, wrong("protocol-without-tls", "`protocol h3` is HTTP/3, which has TLS in it, and the server is to be spoken to in clear",
				"add `tls`, or say which version the server speaks in clear: `h1` or `h2c`")
		}
		return upstream.H3, nil
	case "auto":
		if t == nil {
			return 0, wrong("protocol-without-tls", "`protocol auto` is agreed on by TLS, and the server is spoken to in clear",
				"add `tls`, or say which version the server speaks: `h1` or `h2c`")
		}
		return upstream.Auto, nil
	case "h2c":
		if t != nil {
			return 0, wrong("h2c-with-tls", "`protocol h2c` is HTTP/2 in clear, and the server is spoken to by TLS",
				"write `protocol h2`, or `tls off`")
		}
		return upstream.H2, nil
	default:
		return upstream.H1, nil
	}
}
