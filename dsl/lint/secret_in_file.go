package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var secretInFile = &Rule{Name: "secret-in-file", Severity: diag.Warning, check: func(p *Pass) {
	p.eachProbe(func(n *config.Node) {
		if o := n.Option("password"); o != nil {
			p.secret(o, 0, "password")
		}
		for _, h := range config.Find(n.Options, "header") {
			p.credentials(h)
		}
	})
	p.eachPool(func(pool *config.Pool) {
		if n := persistCookie(pool); n != nil && n.Option("hide") != nil {
			p.secret(n.Option("hide"), 0, "secret")
		}
	})
	if p.Input.Config != nil {
		p.accounts(p.Input.Config.Process)
	}
	p.eachSite(func(s *config.Site) {
		p.accounts(s.Body)
		walk(s.Body, nil, func(n *config.Node, _ []*config.Expr) {
			if n.Word == "header" && n.Variant == "request" {
				p.credentials(n)
			}
		})
	})
}}

// accounts looks at the keys of the authorities' accounts.
func (p *Pass) accounts(body []config.Node) {
	for _, n := range config.Find(body, "acme") {
		for _, ca := range config.Find(n.Options, "ca") {
			if o := ca.Option("eab"); o != nil {
				p.secret(o, 1, "key")
			}
		}
	}
}

// credentials looks at a header field that carries credentials by its nature.
func (p *Pass) credentials(n *config.Node) {
	switch strings.ToLower(strings.TrimLeft(n.Text(0), "+-")) {
	case "authorization", "proxy-authorization", "x-api-key", "x-auth-token":
		p.secret(n, 1, "credential")
	}
}

// secret reports an argument that was written out, rather than taken from the
// environment or from the request.
func (p *Pass) secret(n *config.Node, i int, what string) {
	if i >= len(n.Args) || n.Text(i) == "" || strings.Contains(n.Text(i), "{") {
		return
	}
	raw := p.raw(n.Args[i].Range)
	if raw == "" || strings.Contains(raw, "{$") || strings.Contains(raw, "{args.") {
		return
	}
	d := p.report(n.Args[i].Range, "a %s stands in the file, for whoever may read it or its history", what)
	help(d, "write {$NAME} and put the value into the environment of the process")
}
