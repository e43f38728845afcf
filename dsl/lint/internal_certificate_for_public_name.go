package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var internalCertificate = &Rule{Name: "internal-certificate-for-public-name", Severity: diag.Info, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		for _, n := range config.Find(s.Body, "tls") {
			if n.Text(0) != "internal" {
				continue
			}
			for i := range s.Addresses {
				if a := &s.Addresses[i]; a.Automatic && !reserved(a.Host) {
					d := p.report(n.Range, "visitors of %s will be warned: nobody but you trusts the local authority", a.Host)
					help(d, "without `tls internal` one that everybody trusts is issued; or name one: `tls CERT KEY`")
					return
				}
			}
		}
	})
}}

// reserved reports a name that stands for examples and tests (RFC 2606).
func reserved(host string) bool {
	for _, end := range []string{".test", ".example", ".invalid", "example.com", "example.net", "example.org"} {
		if strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}
