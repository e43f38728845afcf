package modules

import "github.com/loadstar-lb/loadstar/dsl/spec"

// starttlsWord is `starttls` of tcp and tls sites.
func starttlsWord() spec.Word {
	return spec.Word{
		Name: "starttls", In: spec.InTCPSite, Example: "starttls postgres",
		Doc: "Clients ask for TLS, in a protocol of their own, before it begins",
		Long: "`postgres`: a client's SSLRequest is answered here with S, so that its ClientHello comes, and with it the server name (libpq sends its " +
			"`host` unless `sslsni=0`). In a tcp:// site routes choose by that (`sni`, `alpn`), the server that was chosen is asked in its turn, and " +
			"the hello is passed on untouched. A client that asks for no TLS goes on in clear, without a name, also to cancel a query. In a tls:// " +
			"site TLS is terminated, and who asks for none is refused; the server is then spoken to in clear or, with `tls` of its pool, is asked " +
			"as well. Requests for GSSAPI encryption are refused, after which clients ask for TLS. Clients that begin with the ClientHello at once " +
			"(`sslnegotiation=direct`, PostgreSQL 17) are understood. MySQL's protocol cannot be routed by name while TLS passes through: there the " +
			"server speaks first, and what it says is part of the proof of the password. Give each MySQL pool a port of its own.",
		Args: []spec.Arg{{Name: "PROTOCOL", Kind: spec.Enum, Words: []string{"postgres"}, Doc: "postgres"}},
	}
}
