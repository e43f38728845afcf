package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var logsCredentials = &Rule{Name: "logs-credentials", Severity: diag.Warning, check: func(p *Pass) {
	look := func(body []config.Node) {
		for _, n := range config.Find(body, "log") {
			if o := n.Option("format"); o != nil && len(o.Args) > 0 {
				p.credentialIn(o.Args[0].Range, o.Text(0))
			}
		}
		for _, n := range config.Find(body, "capture") {
			for _, o := range config.Find(n.Options, "header") {
				if len(o.Args) > 0 {
					p.credentialIn(o.Args[0].Range, "{http.header."+o.Text(0)+"}")
				}
			}
		}
	}
	look(p.Config.Process)
	p.eachSite(func(s *config.Site) { look(s.Body) })
}}

// credentialIn reports a text that writes down what lets somebody in.
func (p *Pass) credentialIn(at diag.Range, text string) {
	low := strings.ToLower(text)
	for _, name := range []string{"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"} {
		if strings.Contains(low, ".header."+name+"}") {
			d := p.report(at, "whoever may read the log can act as the users in it: it holds %s", name)
			help(d, "leave it out, or log what tells users apart without letting anybody in")
			return
		}
	}
}
