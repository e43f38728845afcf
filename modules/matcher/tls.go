package matcher

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// TLS is `tls`: how the client spoke TLS to us.
var TLS = Module{
	Spec: spec.Word{
		Name: "tls", In: spec.InSite,
		Doc: "How the client speaks the TLS that is terminated here",
		Long: "`version` is compared with TLSv1.2 or TLSv1.3, `cipher` with the suite's name at IANA, `sni` with the server name asked for " +
			"(HTTP sites; streams have `sni` for that, which works where TLS passes through as well). `resumed`, without a value: the handshake took up " +
			"an earlier session. In clear nothing matches. What stands in the client's certificate is `client_cert`'s.",
		Example: "@old tls version TLSv1.2",
		Args: []spec.Arg{
			{Name: "FIELD", Kind: spec.Enum, Words: []string{"version", "cipher", "sni", "resumed"}, Doc: "what is compared"},
			{Name: "VALUE", Kind: spec.Pattern, Variadic: true, Optional: true, Doc: "a glob, or ~ and an RE2 expression; any of them"},
		},
	},
	New: func(args []config.Value) (Matcher, error) {
		m, err := newTLS(args)
		if err != nil {
			return nil, err
		}
		return m, nil
	},
	NewConn: func(args []config.Value) (ConnMatcher, error) {
		if len(args) > 0 && args[0].Text == "sni" {
			return nil, at(args[0].Range, errors.New("in sites of streams the server name is matched by `sni`"))
		}
		m, err := newTLS(args)
		if err != nil {
			return nil, err
		}
		return m, nil
	},
}

// tlsFact compares one fact of a handshake. Versions and suites are few: those that
// match are found when it is made.
type tlsFact struct {
	field string
	names *Patterns
	ids   []uint16 // versions or suites
}

func newTLS(args []config.Value) (*tlsFact, error) {
	if len(args) == 0 {
		return nil, errors.New("what to compare is missing: version, cipher, sni or resumed")
	}
	m := &tlsFact{field: args[0].Text}
	values := args[1:]
	if len(values) == 1 && values[0].Text == "" { // an absent optional argument
		values = nil
	}
	if m.field == "resumed" {
		if len(values) > 0 {
			return nil, at(values[0].Range, errors.New("`resumed` takes no value"))
		}
		return m, nil
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("a value to compare the %s with is missing", m.field)
	}
	var err error
	if m.names, err = NewPatterns(values, m.field == "sni"); err != nil {
		return nil, err
	}
	switch m.field {
	case "version":
		m.keep(tls.VersionTLS12, "TLSv1.2")
		m.keep(tls.VersionTLS13, "TLSv1.3")
		if len(m.ids) == 0 {
			return nil, at(values[0].Range, errors.New("no version matches this: there are TLSv1.2 and TLSv1.3"))
		}
	case "cipher":
		for _, s := range tls.CipherSuites() {
			m.keep(s.ID, s.Name)
		}
		if len(m.ids) == 0 {
			return nil, at(values[0].Range, errors.New("no cipher suite matches this: write names such as TLS_AES_128_GCM_SHA256"))
		}
	}
	return m, nil
}

// keep notes a version or a suite if its name matches.
func (m *tlsFact) keep(id uint16, name string) {
	if m.names.MatchString(name) {
		m.ids = append(m.ids, id)
	}
}

// Match implements Matcher.
func (m *tlsFact) Match(x *flow.Exchange) bool { return m.match(x.Conn) }

// MatchConn implements ConnMatcher.
func (m *tlsFact) MatchConn(c *flow.Conn) Verdict { return verdict(m.match(c)) }

func (m *tlsFact) match(c *flow.Conn) bool {
	if c == nil || c.TLS == nil {
		return false
	}
	switch m.field {
	case "version":
		return slices.Contains(m.ids, c.TLS.Version)
	case "cipher":
		return slices.Contains(m.ids, c.TLS.Cipher)
	case "resumed":
		return c.TLS.Resumed
	default:
		return c.TLS.ServerName != "" && m.names.MatchString(c.TLS.ServerName)
	}
}
