package acme

import "github.com/loadstar-lb/loadstar/dsl/spec"

// The authorities that can be named by a word.
var authorities = map[string]string{
	"letsencrypt":         "https://acme-v02.api.letsencrypt.org/directory",
	"letsencrypt_staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
	"zerossl":             "https://acme.zerossl.com/v2/DV90",
}

// Words are `acme` of the global options and of sites: the same, but that only a
// site can have certificates on demand.
func Words() []spec.Word {
	process := spec.Word{
		Name: "acme", In: spec.InProcess, Options: options(),
		Doc: "How certificates are had automatically, for all sites that say nothing else",
		Long: "A site named `example.com`, or `https://example.com` without a `tls` that names certificates, has its certificate issued by an " +
			"authority that speaks ACME (RFC 8555), and renewed when the authority suggests it (RFC 9773). Nothing has to be set for that; who runs " +
			"such a site agrees to the terms of the authority, which is Let's Encrypt unless `ca` names others.\n\n" +
			"The authority must reach port 80 (HTTP-01) or port 443 (TLS-ALPN-01) of the name; Loadstar answers there by itself, whatever sites do. " +
			"Where it cannot, and for wildcards, `dns` proves by a TXT record that the name is yours.\n\n" +
			"A certificate is kept in storage, and serves from there after a restart even if the authority cannot be reached. One that is not there " +
			"yet is asked for in the background: the process starts without it, handshakes fail until it is there, and the log says why. Nodes that " +
			"share a storage share certificates: one of them has them issued, each answers the challenges of all.",
		Example: "acme email ops@example.com",
	}
	site := spec.Word{
		Name: "acme", In: spec.InSite,
		Doc:     "How this site's certificates are had automatically; what is not said here is as in the global options",
		Example: "acme on_demand http://127.0.0.1:9000/may-have",
		Options: append(options(), spec.Word{
			Name: "on_demand", Doc: "certificates are had when a client first asks for a name, if a URL permits it",
			Long: "The URL is asked with `?domain=NAME`; 200 permits, all else refuses, for a minute. Without such a question anybody could have " +
				"certificates issued until the authority issues no more. It is asked again before each renewal. The first handshake of a name waits " +
				"for its certificate, at most 30 s; unless `timeout handshake` says otherwise such sites give handshakes that time.",
			Args: []spec.Arg{{Name: "URL", Kind: spec.String, Doc: "http:// or https://"}},
		}),
	}
	return []spec.Word{process, site}
}

func options() []spec.Word {
	return []spec.Word{
		{Name: "email", Doc: "where the authority may write to",
			Args: []spec.Arg{{Name: "ADDRESS", Kind: spec.String, Doc: "a mail address"}}},
		{Name: "ca", Repeat: true, Doc: "an authority; of several the first that issues",
			Args: []spec.Arg{{Name: "URL", Kind: spec.String, Doc: "of its ACME directory, or `letsencrypt`, `letsencrypt_staging` or `zerossl`"}},
			Options: []spec.Word{
				{Name: "root", Doc: "who vouches for the authority's own server, where that is no public one",
					Args: []spec.Arg{{Name: "FILE", Kind: spec.File, Doc: "certificates, PEM"}}},
				{Name: "eab", Doc: "the external account that the authority binds ours to",
					Args: []spec.Arg{{Name: "KEYID", Kind: spec.String, Doc: "the key's identifier"}, {Name: "MAC", Kind: spec.String, Doc: "the key, base64url"}}},
			}},
		{Name: "storage", Doc: "where accounts, keys and certificates are kept; nodes may share it. Without it: `acme` in the state directory (`state`)",
			Args: []spec.Arg{{Name: "DIRECTORY", Kind: spec.File, Doc: "a directory, made when it is needed"}}},
		{Name: "challenge", Doc: "the only challenges that are answered; without it both. `dns` replaces them",
			Args: []spec.Arg{{Name: "KIND", Kind: spec.Enum, Words: []string{"http", "tls_alpn"}, Variadic: true, Doc: "http (port 80) or tls_alpn (port 443)"}}},
		dnsWord(),
		{Name: "key", Default: "p256", Doc: "the type of the certificates' keys",
			Args: []spec.Arg{{Name: "TYPE", Kind: spec.Enum, Words: []string{"p256", "p384", "rsa2048", "rsa4096"}, Doc: "p256, p384, rsa2048 or rsa4096"}}},
		{Name: "profile", Doc: "which of the authority's profiles certificates are of",
			Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "as the authority names it, for example shortlived"}}},
	}
}

func dnsWord() spec.Word {
	return spec.Word{
		Name: "dns", Doc: "Names are proved by TXT records, which a program or a webhook puts in place",
		Long: "Who does not want to give Loadstar a zone's key has `_acme-challenge.example.com` be a CNAME of a name in another zone, and the " +
			"record made there: the hook is told of the name that is proved, the authority and the look for the record follow the CNAME.",
		Variants: []spec.Word{
			{Name: "exec", Doc: "by a program: PROGRAM ARG… present|cleanup FQDN VALUE, which exits with 0",
				Args: []spec.Arg{{Name: "PROGRAM", Kind: spec.File, Doc: "a program's file"}, {Name: "ARG", Kind: spec.String, Variadic: true, Optional: true, Doc: "its first arguments"}}},
			{Name: "webhook", Doc: `by POST to URL/present and URL/cleanup of {"fqdn": "_acme-challenge.example.com.", "value": "…"}, answered with 2xx`,
				Args: []spec.Arg{{Name: "URL", Kind: spec.String, Doc: "http:// or https://"}}},
		},
		Options: []spec.Word{
			{Name: "resolver", Doc: "who is asked whether the record is there; without it the zone's own servers",
				Args: []spec.Arg{{Name: "ADDRESS", Kind: spec.Address, Variadic: true, Doc: "host:port"}}},
			{Name: "delay", Doc: "before the first look for the record",
				Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Doc: "time"}}},
			{Name: "wait", Default: "2m", Doc: "how long to look for the record before the authority is called; 0s: nobody looks",
				Args: []spec.Arg{{Name: "DURATION", Kind: spec.Duration, Doc: "time"}}},
		},
	}
}
