package matcher

import (
	"errors"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// ClientCert is `client_cert`: the certificate that a client showed.
var ClientCert = Module{
	Spec: spec.Word{
		Name: "client_cert", In: spec.InSite,
		Doc: "What stands in the certificate that a client showed",
		Long: "Without arguments: whether the client showed one (`tls … client_auth`), which was then verified. `subject` and `issuer` are compared as " +
			"RFC 4514 writes them (CN=ann,O=Example), `serial` and `fingerprint` (SHA-256) in hexadecimal, lower case; `name` is any of its " +
			"alternative names.",
		Example: "@staff client_cert subject *O=Example*",
		Args: []spec.Arg{
			{Name: "FIELD", Kind: spec.Enum, Words: []string{"subject", "issuer", "serial", "fingerprint", "name"}, Optional: true, Doc: "what is compared"},
			{Name: "VALUE", Kind: spec.Pattern, Variadic: true, Optional: true, Doc: "a glob, or ~ and an RE2 expression; any of them"},
		},
	},
	New: func(args []config.Value) (Matcher, error) {
		m, err := newClientCert(args)
		if err != nil {
			return nil, err
		}
		return m, nil
	},
	NewConn: func(args []config.Value) (ConnMatcher, error) {
		m, err := newClientCert(args)
		if err != nil {
			return nil, err
		}
		return m, nil
	},
}

type clientCert struct {
	field  string // "": whether there is one
	values *Patterns
}

func newClientCert(args []config.Value) (clientCert, error) {
	if len(args) == 0 || args[0].Text == "" {
		return clientCert{}, nil
	}
	m := clientCert{field: args[0].Text}
	if len(args) < 2 {
		return m, errors.New("a value to compare the " + m.field + " with is missing")
	}
	values, err := NewPatterns(args[1:], m.field == "serial" || m.field == "fingerprint")
	m.values = values
	return m, err
}

// Match implements Matcher.
func (m clientCert) Match(x *flow.Exchange) bool { return m.match(x.Conn) }

// MatchConn implements ConnMatcher.
func (m clientCert) MatchConn(c *flow.Conn) Verdict { return verdict(m.match(c)) }

func (m clientCert) match(c *flow.Conn) bool {
	if c == nil || c.TLS == nil || c.TLS.Client == nil {
		return false
	}
	cert := c.TLS.Client
	switch m.field {
	case "":
		return true
	case "subject":
		return m.values.MatchString(cert.Subject)
	case "issuer":
		return m.values.MatchString(cert.Issuer)
	case "serial":
		return m.values.MatchString(cert.Serial)
	case "fingerprint":
		return m.values.MatchString(cert.Fingerprint)
	default:
		for _, n := range cert.Names {
			if m.values.MatchString(n) {
				return true
			}
		}
		return false
	}
}
