package pool

import (
	"net/netip"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/wire/proxyproto"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// asClient is the argument of `source` that means the client's own address.
const asClient = "client"

func sourceWord() spec.Word {
	return spec.Word{
		Name: "source", In: spec.InPool,
		Doc: "The address to connect to servers from",
		Long: "`client` is the client's own, so that servers see who asks without a header that says so (HAProxy's `usesrc clientip`). It takes Linux, " +
			"the capability CAP_NET_ADMIN, servers of the client's address family, and servers whose answers to clients are routed back through this " +
			"machine, where they must be delivered locally: `ip route add local 0.0.0.0/0 dev lo table 100` and `ip rule add iif eth1 lookup 100`, where " +
			"eth1 leads to the servers and to nothing else (else a firewall rule marks what is meant, and `fwmark` replaces `iif`). Probes come from this machine's own " +
			"address. A connection is used again for the same client's address only.",
		Example: "source client",
		Args:    []spec.Arg{{Name: "ADDRESS", Kind: spec.String, Doc: "an IP address of this machine, or client"}},
	}
}

func serverSourceWord() spec.Word {
	w := sourceWord()
	w.In, w.Long, w.Doc = 0, "", "the address to connect from"
	w.Example = "server s1 10.0.0.1:80 source 10.0.0.254"
	return w
}

func proxyProtocolWord() spec.Word {
	return spec.Word{
		Name: "proxy_protocol", In: spec.InPool,
		Doc: "Servers are told of the client by a PROXY header at the start of each connection, before TLS",
		Long: "The header has the client's address and the one that the client connected to. A connection is then used again for the same client " +
			"connection only. `v2` can tell more: `authority` is the server name that the client asked for, `alpn` the application protocol, " +
			"`tls_facts` version, cipher suite and the client certificate's common name, `unique_id` what {conn.unique_id} is, `crc32c` a " +
			"checksum. What a PROXY header told of the client (`proxy_protocol` of sites) is passed on. Probes tell that they are no client's " +
			"(LOCAL; in version 1 UNKNOWN), unless they go to an `address` or `port` of their own.",
		Example: "proxy_protocol v2 authority tls_facts",
		Args: []spec.Arg{{Name: "VERSION", Kind: spec.Enum, Words: []string{"v2", "v1", "off"},
			Doc: "v1 is a line of text, v2 is binary, and shorter; off, for a server, unsays what the pool says"}},
		Options: []spec.Word{
			{Name: "authority", Doc: "tell what server name the client asked for"},
			{Name: "alpn", Doc: "tell what application protocol was agreed on with the client"},
			{Name: "tls_facts", Doc: "tell how the client spoke TLS"},
			{Name: "unique_id", Doc: "tell the connection's name among those of all machines"},
			{Name: "crc32c", Doc: "add a checksum"},
		},
	}
}

func serverProxyProtocolWord() spec.Word {
	w := proxyProtocolWord()
	w.In, w.Long, w.Doc = 0, "", "This server is told of the client by a PROXY header, or is not"
	w.Example = "server s1 10.0.0.1:80 proxy_protocol v1"
	return w
}

// origin reads in whose name a server is connected to: from what address, and what
// it is told of the client.
func (b *builder) origin(s *upstream.Server, n *config.Node) {
	from := n.Option("source")
	if from == nil {
		from = config.Last(b.cfg.Body, "source")
	}
	s.Source, s.AsClient = b.source(from, true)
	if s.AsClient && s.Network != "tcp" {
		b.errs.Add(from.Range, "bad-address", "server %s is a unix socket, which is connected to from no address", s.Name)
	}
	told := n.Option("proxy_protocol")
	if told == nil {
		told = config.Last(b.cfg.Body, "proxy_protocol")
	}
	if told == nil {
		return
	}
	switch told.Text(0) {
	case "v2":
		s.Proxy = &proxyproto.Form{
			Version: 2, Authority: told.Has("authority"), ALPN: told.Has("alpn"), TLS: told.Has("tls_facts"),
			UniqueID: told.Has("unique_id"), CRC32C: told.Has("crc32c"),
		}
		return
	case "v1":
		s.Proxy = &proxyproto.Form{Version: 1}
	}
	for i := range told.Options {
		o := &told.Options[i]
		d := b.errs.Add(o.Range, "bad-value", "only version 2 of the PROXY protocol has room for `%s`", o.Word)
		d.Help = append(d.Help, "write `proxy_protocol v2`")
	}
}

// source reads the address to connect from; client is whether that may be the
// client's.
func (b *builder) source(n *config.Node, client bool) (ip netip.Addr, own bool) {
	if n == nil || n.Text(0) == "" {
		return netip.Addr{}, false
	}
	text := n.Text(0)
	if client && text == asClient {
		return netip.Addr{}, true
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		d := b.errs.Add(n.Range, "bad-address", "source needs one IP address, not %q", text)
		if client {
			d.Help = append(d.Help, "to connect from the client's own, write `source client`")
		}
	}
	return ip, false
}
