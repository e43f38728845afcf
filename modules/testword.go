package modules

import "github.com/loadstar-lb/loadstar/dsl/spec"

// TestWord is `test "NAME" { … }` at the top level. It is read by modules/explain
// and means nothing to traffic.
func TestWord() spec.Word {
	name := func(doc string) []spec.Arg { return []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: doc}} }
	return spec.Word{
		Name: "test", In: spec.InTop,
		Doc: "A check of the routing, run by `loadstar test`",
		Long: "The request is not sent: it is decided what would become of it, as by `loadstar explain`. `run` and `reload` pass tests over. " +
			"A test whose pool, server or site is no more fails.",
		Example: "test \"the shop goes to its farm\" {\n    request GET http://www.example.com/shop/1\n    expect pool shop\n}",
		Args:    name("what it is about; free text"),
		Options: []spec.Word{
			{Name: "request", Required: true, Doc: "the request, or the stream (`request tcp://:443`)", Example: "request GET http://www.example.com/", Args: []spec.Arg{
				{Name: "METHOD", Kind: spec.Enum, Optional: true, Default: "GET", Doc: "the method",
					Words: []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}},
				{Name: "URL", Kind: spec.String, Doc: "http://, https://, or tcp://:PORT and tls://HOST:PORT for streams"},
			}},
			{Name: "from", Doc: "the client's address", Args: []spec.Arg{{Name: "IP", Kind: spec.Network, Doc: "one address; without it 192.0.2.1"}}},
			{Name: "sni", Doc: "the server name that the client asks for", Args: name("by default the URL's host")},
			{Name: "header", Repeat: true, Doc: "a field of the request's header", Example: "header Cookie SERVERID=a", Args: []spec.Arg{
				{Name: "NAME", Kind: spec.HeaderName, Doc: "the field's name"},
				{Name: "VALUE", Kind: spec.String, Doc: "its value"},
			}},
			{Name: "with", Repeat: true, Doc: "what is different from a healthy day", Example: "with server web/one down", Variants: []spec.Word{
				{Name: "server", Doc: "the state of a server", Args: []spec.Arg{
					{Name: "SERVER", Kind: spec.String, Doc: "POOL/SERVER, or the name alone for all of that name"},
					{Name: "STATE", Kind: spec.Enum, Words: []string{"down"}, Doc: "its state"},
				}},
			}},
			{Name: "expect", Repeat: true, Required: true, Doc: "what must come of it; all of them must hold", Example: "expect pool web", Variants: []spec.Word{
				{Name: "pool", Doc: "the pool that it goes to", Args: name("the pool's name")},
				{Name: "server", Doc: "the only server that may get it", Args: name("SERVER, or POOL/SERVER")},
				{Name: "site", Doc: "the site that decides", Args: name("the site's first address")},
				{Name: "status", Doc: "the status that Loadstar answers with itself", Args: []spec.Arg{{Name: "STATUS", Kind: spec.Status, Doc: "such as 403"}}},
				{Name: "redirect", Doc: "where it is redirected to", Args: []spec.Arg{{Name: "URL", Kind: spec.Pattern, Doc: "a URL, a glob, or ~ and an RE2 expression"}}},
				{Name: "header", Doc: "a header field of the request as servers get it, or of an answer of Loadstar's own", Args: []spec.Arg{
					{Name: "NAME", Kind: spec.HeaderName, Doc: "the field's name"},
					{Name: "VALUE", Kind: spec.Pattern, Optional: true, Doc: "its value; without it, that it is there"},
				}},
				{Name: "closed", Doc: "that the stream is closed"},
			}},
		},
	}
}
