package acme

import (
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// rule is the name of what is wrong with a value of `acme`.
const rule = "bad-acme"

// Read takes the `acme` directives of the process and of a site, of which either may
// be nil: what the site says counts. state is the state directory.
func Read(process, site *config.Node, state string) (*Settings, diag.List) {
	r := reader{s: &Settings{KeyType: "p256", HTTP: true, ALPN: true, OCSP: true, Storage: filepath.Join(state, "acme")}}
	for _, n := range []*config.Node{process, site} {
		if n == nil {
			continue
		}
		first := true // a site's authorities replace those of the process
		for i := range n.Options {
			o := &n.Options[i]
			if o.Defaulted {
				continue
			}
			if o.Word == "ca" && first {
				r.s.CAs, first = nil, false
			}
			r.option(o)
		}
	}
	if len(r.s.CAs) == 0 {
		r.s.CAs = []CA{{URL: authorities["letsencrypt"]}}
	}
	return r.s, r.errs
}

type reader struct {
	s    *Settings
	errs diag.List
}

func (r *reader) bad(o *config.Node, format string, args ...any) {
	r.errs.Add(o.Range, rule, format, args...)
}

func (r *reader) option(o *config.Node) {
	switch o.Word {
	case "email":
		if r.s.Email = strings.TrimPrefix(o.Text(0), "mailto:"); !strings.Contains(r.s.Email, "@") {
			r.bad(o, "%q is no mail address", o.Text(0))
		}
	case "ca":
		r.authority(o)
	case "storage":
		r.s.Storage = o.Args[0].Path()
	case "challenge":
		r.s.HTTP, r.s.ALPN = false, false
		for _, kind := range o.Texts(0) {
			r.s.HTTP, r.s.ALPN = r.s.HTTP || kind == "http", r.s.ALPN || kind == "tls_alpn"
		}
	case "dns":
		r.dns(o)
	case "key":
		r.s.KeyType = o.Text(0)
	case "profile":
		r.s.Profile = o.Text(0)
	case "on_demand":
		if r.s.Ask = o.Text(0); !web(r.s.Ask) {
			r.bad(o, "%q is no URL to ask: write http:// or https:// and a host", o.Text(0))
		}
	}
}

func (r *reader) authority(o *config.Node) {
	ca := CA{URL: o.Text(0)}
	if known := authorities[ca.URL]; known != "" {
		ca.URL = known
	}
	switch u, err := url.Parse(ca.URL); {
	case err != nil || !web(ca.URL):
		r.bad(o, "%q is no authority: write the URL of its ACME directory, or letsencrypt, letsencrypt_staging or zerossl", o.Text(0))
		return
	case u.Scheme == "http" && !private(u.Hostname()):
		r.bad(o, "an authority is asked by https, or anybody between could issue what is sent here")
		return
	}
	if n := o.Option("root"); n != nil {
		pem, err := os.ReadFile(n.Args[0].Path())
		switch {
		case err != nil:
			r.errs.Add(n.Range, "unreadable-file", "%v", err)
		case !x509.NewCertPool().AppendCertsFromPEM(pem):
			r.bad(n, "%s holds no certificate", n.Text(0))
		}
		ca.Roots = pem
	}
	if n := o.Option("eab"); n != nil {
		ca.KeyID, ca.MAC = n.Text(0), strings.TrimRight(n.Text(1), "=")
		if _, err := base64.RawURLEncoding.DecodeString(ca.MAC); err != nil {
			r.bad(n, "the MAC key is not base64url (RFC 8555 §7.3.4)")
		}
	} else if ca.URL == authorities["zerossl"] {
		r.bad(o, "ZeroSSL binds accounts to its own: `ca zerossl eab KEYID MAC`, which it gives out")
	}
	r.s.CAs = append(r.s.CAs, ca)
}

func (r *reader) dns(o *config.Node) {
	d := DNS{Delay: o.OptionDuration("delay"), Wait: o.OptionDuration("wait")}
	if d.Wait == 0 {
		d.Wait = -1
	}
	if n := o.Option("resolver"); n != nil {
		d.Resolvers = n.Texts(0)
	}
	switch o.Variant {
	case "exec":
		if len(o.Args) == 0 {
			return
		}
		d.Program = append([]string{o.Args[0].Path()}, o.Texts(1)...)
		i, err := os.Stat(d.Program[0])
		switch {
		case err != nil:
			r.errs.Add(o.Range, "unreadable-file", "%v", err)
		case i.IsDir() || i.Mode()&0o111 == 0:
			r.bad(o, "%s is no program: it cannot be executed", o.Text(0))
		}
	default:
		if d.URL = o.Text(0); !web(d.URL) {
			r.bad(o, "%q is no URL of a webhook: write http:// or https:// and a host", d.URL)
		}
	}
	r.s.DNS = d
}

// web tells what may be asked by HTTP.
func web(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// private tells a host that is not reached through the open network.
func private(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsPrivate())
}

// Public reports whether one of the authorities is a public one, which vouches for
// public names only (CA/Browser Forum, Baseline Requirements §4.2.2).
func (s *Settings) Public() bool {
	for _, ca := range s.CAs {
		for _, known := range authorities {
			if ca.URL == known {
				return true
			}
		}
	}
	return false
}

// handshake is what sites on demand give handshakes, unless they are told.
const handshake = demandTime + 5*time.Second

// Handshake gives the least time that handshakes need, 0: no more than others.
func (s *Settings) Handshake() time.Duration {
	if s.Ask != "" {
		return handshake
	}
	return 0
}
