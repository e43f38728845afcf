package template

import (
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// proxyPlaceholders are what a PROXY header said (`proxy_protocol`) beside the
// addresses; without one, or where it said nothing, they are empty.
var proxyPlaceholders = func() []placeholder {
	docs := map[string]string{
		"authority":           "the name that the client asked the proxy in front for, by its PROXY header",
		"alpn":                "the application protocol that the client and the proxy in front agreed on",
		"unique_id":           "what the proxy in front calls the connection; in hexadecimal, if that is not printable",
		"netns":               "the network namespace in which the proxy in front took the connection",
		"tls.version":         "the version of TLS that the client spoke to the proxy in front, as that writes it: TLSv1.3",
		"tls.cipher":          "the cipher suite that the client and the proxy in front agreed on",
		"tls.client.cn":       "the common name in the certificate that the client showed the proxy in front",
		"tls.client.verified": "yes, if the proxy in front has verified a certificate of the client's; else empty",
	}
	var out []placeholder
	for _, f := range flow.ToldFacts {
		out = append(out, placeholder{
			spec.Placeholder{Name: "proxy." + f.Name, Doc: docs[f.Name]},
			func(b []byte, x *flow.Exchange, _ string) []byte { return append(b, f.Get(x.Conn)...) },
		})
	}
	return out
}()
