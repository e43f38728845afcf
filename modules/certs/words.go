package certs

import (
	"crypto/tls"
	"slices"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// Where certificates come from, where no file is named.
const (
	sourceInternal = "internal"
	sourceOff      = "off"
)

// Word is `tls` in sites.
func Word() spec.Word {
	onOff := func(name, doc string) spec.Word {
		return spec.Word{Name: name, Doc: doc, Default: "on",
			Args: []spec.Arg{{Name: "WHEN", Kind: spec.Enum, Words: []string{"on", "off"}, Doc: "on or off"}}}
	}
	return spec.Word{
		Name: "tls", In: spec.InSite, Repeat: true,
		Doc: "How TLS is terminated: with which certificates, and for which clients",
		Long: "`tls CERT KEY` names PEM files (the certificate's with its chain); it may stand several times, for further names or key types: " +
			"among certificates of one name ECDSA goes before RSA where the client can verify it. `tls DIRECTORY` takes all pairs of the directory's " +
			".pem, .crt, .cer and .key files, `tls FILE` a file that holds both. Files are looked at once a second and swapped when they change, " +
			"without a reload; when new ones are broken the last good ones go on.\n\n" +
			"`tls internal` is for development: certificates of a local authority, whose root is made once and kept in `internal/root.crt` of the state " +
			"directory (`state`). Clients must trust that file: `curl --cacert`, or the system's own store. `tls off` serves a site whose address names " +
			"no scheme in clear.\n\n" +
			"Without a certificate here, a site of a public name has one issued: see `acme`.",
		Example: "tls internal min_version 1.3",
		Args: []spec.Arg{
			{Name: "CERT", Kind: spec.File, Optional: true, Doc: "a PEM file, a directory, `internal` or `off`"},
			{Name: "KEY", Kind: spec.File, Optional: true, Doc: "the private key's PEM file"},
		},
		Options: []spec.Word{
			{Name: "min_version", Default: "1.2", Doc: "the oldest version of TLS that is spoken",
				Args: []spec.Arg{{Name: "VERSION", Kind: spec.Enum, Words: []string{"1.2", "1.3"}, Doc: "1.2 or 1.3"}}},
			{Name: "ciphers", Doc: "the only cipher suites of TLS 1.2 that are taken; without it, all that are safe. Those of TLS 1.3 are fixed",
				Args: []spec.Arg{{Name: "SUITE", Kind: spec.Enum, Words: suiteNames(), Variadic: true, Doc: "IANA's name of a suite"}}},
			{Name: "curves", Doc: "the only key exchanges that are taken; without it X25519MLKEM768 and the usual curves. The order is Loadstar's: hybrids first",
				Args: []spec.Arg{{Name: "GROUP", Kind: spec.Enum, Words: curveNames(), Variadic: true, Doc: "IANA's name of a group"}}},
			{Name: "client_auth", Doc: "whether clients must (`require`) or may (`request`) show a certificate of these authorities",
				Args: []spec.Arg{{Name: "MODE", Kind: spec.Enum, Words: []string{"require", "request"}, Doc: "require or request"},
					{Name: "CA", Kind: spec.File, Doc: "the authorities' certificates, PEM"}},
				Options: []spec.Word{{Name: "crl", Doc: "what the authorities have revoked",
					Args: []spec.Arg{{Name: "FILE", Kind: spec.File, Doc: "revocation lists, PEM or DER"}}}}},
			{Name: "protocols", Default: "h1 h2 h3", Doc: "the versions of HTTP that are spoken. `h3` takes the UDP port of the same number, and answers tell clients of it (Alt-Svc). " +
				"One socket serves all of its connections: reading it was measured to take 5 % of what HTTP/3 costs, so that several (SO_REUSEPORT) do not help below some 20 cores",
				Args: []spec.Arg{{Name: "VERSION", Kind: spec.Enum, Words: []string{"h1", "h2", "h3"}, Variadic: true, Doc: "h1, h2 or h3"}}},
			{Name: "early_data", Default: "off", Doc: "whether clients that come back may send requests in HTTP/3's first packets (0-RTT), which an attacker can send again: " +
				"GET, HEAD and OPTIONS are then served with `Early-Data: 1`, and others told to wait (425)",
				Args: []spec.Arg{{Name: "WHEN", Kind: spec.Enum, Words: []string{"on", "off"}, Doc: "on or off"}}},
			onOff("tickets", "whether sessions may be resumed; their keys change hourly and survive reloads"),
			onOff("ocsp", "whether OCSP staples are fetched for certificates that name a responder"),
			onOff("redirect", "whether port 80 sends visitors of the site's names at port 443 here, where no http site has those names"),
		},
	}
}

// StateWord is `state` of the global options.
func StateWord() spec.Word {
	return spec.Word{
		Name: "state", In: spec.InProcess, Example: "state /var/lib/loadstar",
		Doc: "Where Loadstar keeps what must survive a restart, such as the root of `tls internal`",
		Long: "What is changed at run time (`loadstar ctl`) survives a restart only where this directive stands. " +
			"Without it: systemd's StateDirectory, /var/lib/loadstar for root, and loadstar in the user's data directory (~/.local/share) for others.",
		Args: []spec.Arg{{Name: "DIRECTORY", Kind: spec.File, Doc: "a directory, made when it is needed"}},
	}
}

// suites are the cipher suites of TLS 1.2 that may be chosen.
func suites() []*tls.CipherSuite {
	var out []*tls.CipherSuite
	for _, s := range tls.CipherSuites() {
		for _, v := range s.SupportedVersions {
			if v == tls.VersionTLS12 {
				out = append(out, s)
			}
		}
	}
	return out
}

func suiteNames() []string {
	var out []string
	for _, s := range suites() {
		out = append(out, s.Name)
	}
	return out
}

// curves are the key exchanges by their names at IANA (TLS Supported Groups).
var curves = []struct {
	name string
	id   tls.CurveID
}{
	{"X25519MLKEM768", tls.X25519MLKEM768}, {"x25519", tls.X25519},
	{"secp256r1", tls.CurveP256}, {"secp384r1", tls.CurveP384}, {"secp521r1", tls.CurveP521},
}

func curveNames() []string {
	var out []string
	for _, c := range curves {
		out = append(out, c.name)
	}
	return out
}

// Plan is what the `tls` directives of one site say together.
type Plan struct {
	Settings // without Clients and Tickets
	Files    []Files
	At       []diag.Range // of each of Files
	Internal bool
	Off      bool
	Resume   bool // tickets are on
	Redirect bool // from port 80
	OCSP     bool
	CA, CRL  string
	CAAt     diag.Range
	// HTTPAt is where something is said that only HTTP sites have; zero: nothing is.
	HTTPAt diag.Range
}

// Read takes the `tls` directives of a site. Options may stand at any of them,
// each once.
func Read(nodes []*config.Node) (*Plan, diag.List) {
	p := &Plan{Resume: true, OCSP: true, Redirect: true}
	p.MinVersion, p.Protocols, p.HTTP3 = tls.VersionTLS12, []string{"h2", "http/1.1"}, true
	var errs diag.List
	given := map[string]diag.Range{}
	for _, n := range nodes {
		p.source(n)
		for i := range n.Options {
			o := &n.Options[i]
			if o.Defaulted {
				continue
			}
			if first, ok := given[o.Word]; ok {
				d := errs.Add(o.Range, "duplicate-option", "`%s` is given twice for this site", o.Word)
				d.Labels = append(d.Labels, diag.Label{Range: first, Message: "first given here"})
				continue
			}
			given[o.Word] = o.Range
			p.option(o)
		}
	}
	if (p.Internal || p.Off) && (len(p.Files) > 0 || p.Internal && p.Off) {
		errs.Add(nodes[0].Range, "tls-conflict", "`tls internal`, `tls off` and certificates from files exclude each other")
	}
	p.versions(given, &errs)
	if len(p.Ciphers) > 0 && p.MinVersion == tls.VersionTLS13 {
		d := errs.Add(given["ciphers"], "ciphers-unused", "`ciphers` chooses among those of TLS 1.2, which `min_version 1.3` shuts out")
		d.Severity = diag.Warning
	}
	return p, errs
}

// Named reports whether the plan says which certificates there are: files, or those
// of the local authority. A nil plan does not.
func (p *Plan) Named() bool { return p != nil && (len(p.Files) > 0 || p.Internal) }

// versions looks whether what is said of the versions of HTTP fits together.
func (p *Plan) versions(given map[string]diag.Range, errs *diag.List) {
	if len(p.Protocols) == 0 {
		d := errs.Add(given["protocols"], "tls-conflict", "`protocols h3` leaves no way in: clients learn of HTTP/3 from answers of the other versions")
		d.Help = append(d.Help, "add h1 or h2")
	}
	if !p.EarlyData {
		return
	}
	for _, c := range []struct {
		is  bool
		why string
	}{
		{!p.HTTP3, "it is of HTTP/3, which `protocols` leaves out"},
		{!p.Resume, "it needs session tickets, which are off"},
		{p.CA != "", "with `client_auth`, nothing is served before the client has shown its certificate"},
	} {
		if c.is {
			p.EarlyData = false
			d := errs.Add(given["early_data"], "early-data-unused", "`early_data` has no effect: %s", c.why)
			d.Severity = diag.Warning
			return
		}
	}
}

func (p *Plan) source(n *config.Node) {
	switch {
	case len(n.Args) == 0 || n.Text(0) == "":
	case n.Text(0) == sourceInternal && n.Text(1) == "":
		p.Internal = true
	case n.Text(0) == sourceOff && n.Text(1) == "":
		p.Off = true
	default:
		f := Files{Cert: n.Args[0].Path()}
		if len(n.Args) > 1 {
			f.Key = n.Args[1].Path()
		}
		p.Files = append(p.Files, f)
		p.At = append(p.At, n.Range)
	}
}

func (p *Plan) option(o *config.Node) {
	switch o.Word {
	case "min_version":
		if o.Text(0) == "1.3" {
			p.MinVersion = tls.VersionTLS13
		}
	case "ciphers":
		for _, s := range suites() {
			for _, name := range o.Texts(0) {
				if s.Name == name {
					p.Ciphers = append(p.Ciphers, s.ID)
				}
			}
		}
	case "curves":
		for _, c := range curves {
			for _, name := range o.Texts(0) {
				if c.name == name {
					p.Curves = append(p.Curves, c.id)
				}
			}
		}
	case "client_auth":
		p.Auth = tls.VerifyClientCertIfGiven
		if o.Text(0) == "require" {
			p.Auth = tls.RequireAndVerifyClientCert
		}
		if len(o.Args) > 1 {
			p.CA, p.CAAt = o.Args[1].Path(), o.Range
		}
		if crl := o.Option("crl"); crl != nil && len(crl.Args) > 0 {
			p.CRL = crl.Args[0].Path()
		}
	case "protocols":
		p.HTTPAt, p.HTTP3, p.Protocols = o.Range, false, nil
		said := o.Texts(0)
		if p.HTTP3 = slices.Contains(said, "h3"); slices.Contains(said, "h2") {
			p.Protocols = append(p.Protocols, "h2")
		}
		if slices.Contains(said, "h1") {
			p.Protocols = append(p.Protocols, "http/1.1")
		}
	case "early_data":
		p.HTTPAt, p.EarlyData = o.Range, o.Text(0) == "on"
	case "tickets":
		p.Resume = o.Text(0) != "off"
	case "ocsp":
		p.OCSP = o.Text(0) != "off"
	case "redirect":
		p.Redirect = o.Text(0) != "off"
	}
}
