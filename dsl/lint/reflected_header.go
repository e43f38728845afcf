package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var reflectedHeader = &Rule{Name: "reflected-header", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		walk(s.Body, nil, func(n *config.Node, _ []*config.Expr) {
			if n.Word != "header" || n.Variant != "response" || len(n.Args) < 2 || !fromClient(n.Text(1)) {
				return
			}
			switch strings.ToLower(strings.TrimLeft(n.Text(0), "+-")) {
			case "set-cookie", "access-control-allow-origin", "content-type", "content-security-policy", "location", "refresh":
				d := p.report(n.Args[1].Range, "the client says what stands in %s, and so could who sent it here", strings.TrimLeft(n.Text(0), "+-"))
				help(d, "test the value with a matcher, and write out what is allowed")
			}
		})
	})
}}

// fromClient reports a template that is filled in with what a client is free to send.
func fromClient(text string) bool {
	for _, p := range []string{"{http.header.", "{http.cookie.", "{http.query", "{http.uri", "{http.original_uri"} {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}
