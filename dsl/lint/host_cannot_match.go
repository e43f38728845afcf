package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var hostCannotMatch = &Rule{Name: "host-cannot-match", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		if s.TCP {
			return
		}
		for i := range s.Addresses {
			if s.Addresses[i].Host == "" {
				return
			}
		}
		p.eachTest(s, func(e *config.Expr, _ bool) {
			if e.Word != "host" {
				return
			}
			for i := range e.Args {
				if v := &e.Args[i]; !p.hostPossible(s, v.Text) {
					d := p.report(v.Range, "no request of this site has a host like %q", v.Text)
					label(d, s.Range, "the hosts of the site")
					help(d, "add the host to the site's addresses, or write a site of its own for it")
				}
			}
		})
	})
}}

// hostPossible reports whether a host of the site may match the pattern.
func (p *Pass) hostPossible(s *config.Site, text string) bool {
	want := newPattern(text, true)
	for i := range s.Addresses {
		host := s.Addresses[i].Host
		if !strings.HasPrefix(host, "*.") {
			if want.match(host) != no {
				return true
			}
			continue
		}
		if exact, ok := want.exact(); !ok || strings.HasSuffix(exact, host[1:]) {
			return true
		}
	}
	return false
}

// eachTest visits the tests of a site's named matchers and of the conditions that
// were written without a name; negated says that the test is under a `not`.
func (p *Pass) eachTest(s *config.Site, visit func(e *config.Expr, negated bool)) {
	for i := range s.Matchers {
		tests(&s.Matchers[i].Expr, false, visit)
	}
	walk(s.Body, nil, func(n *config.Node, _ []*config.Expr) {
		if n.When != nil && !strings.HasPrefix(n.WhenName, "@") {
			tests(n.When, false, visit)
		}
	})
}

func tests(e *config.Expr, negated bool, visit func(*config.Expr, bool)) {
	if e.Op == config.Test {
		if e.Word != "" {
			visit(e, negated)
		}
		return
	}
	for i := range e.Kids {
		tests(&e.Kids[i], negated != (e.Op == config.Not), visit)
	}
}
