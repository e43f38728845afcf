package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var unreachableRoute = &Rule{Name: "unreachable-route", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		w := &shadows{pass: p, site: s}
		w.body(s.Body, nil)
	})
}}

// maxShadows bounds the earlier routes that each route is compared with, so that
// the cost stays linear in the length of a site.
const maxShadows = 128

// shadows walks the routes of a site with those above that surely answer.
type shadows struct {
	pass  *Pass
	site  *config.Site
	above []*config.Node
}

// body walks one block; given are the conditions of the groups around it.
func (w *shadows) body(body []config.Node, given []*config.Expr) {
	var groups []*config.Node // of this block, of which only the first runs
	var local []*config.Node  // routes above in this very group
	for i := range body {
		n := &body[i]
		if w.changes(n) {
			w.above, local = nil, nil // what comes below looks at another request
			continue
		}
		group := n.Word == groupWord
		answers := w.pass.answering(w.site, n)
		if !group && !answers {
			continue
		}
		if n.When != nil {
			when := also(given, n.When)
			if by := first(w.above, when); by != nil {
				w.report(n, when, by)
				continue
			}
			if by := first(local, when); by != nil {
				w.report(n, when, by)
				continue
			}
			if by := first(groups, when); group && by != nil {
				w.report(n, when, by)
				continue
			}
		}
		switch {
		case group:
			if !w.steady(n.Body) {
				local = nil
			}
			w.group(n, given, len(groups) > 0)
			groups = append(groups, n)
		case n.When != nil && len(given) == 0 && len(w.above) < maxShadows:
			w.above = append(w.above, n)
		case n.When != nil && len(local) < maxShadows:
			local = append(local, n)
		}
	}
}

// group walks a group. That it answers all it takes is known if it ends in a
// directive without a matcher, and no group above could take a request away.
func (w *shadows) group(n *config.Node, given []*config.Expr, notFirst bool) {
	inner := given
	if n.When != nil {
		inner = also(given, n.When)
	}
	w.body(n.Body, inner)
	if n.When == nil || len(given) > 0 || notFirst || !w.steady(n.Body) || len(w.above) >= maxShadows {
		return
	}
	for i := range n.Body {
		if n.Body[i].When == nil && w.pass.answering(w.site, &n.Body[i]) {
			w.above = append(w.above, n)
			return
		}
	}
}

// steady reports a body that leaves the request as it is.
func (w *shadows) steady(body []config.Node) bool {
	for i := range body {
		if w.changes(&body[i]) || body[i].Word == groupWord && !w.steady(body[i].Body) {
			return false
		}
	}
	return true
}

// changes reports a directive that makes later matchers see something else.
func (w *shadows) changes(n *config.Node) bool {
	return n.Word == "rewrite" || n.Word == "header" && n.Variant == "request"
}

// first finds the first of some routes that takes all that fulfils the conditions.
func first(routes []*config.Node, when []*config.Expr) *config.Node {
	for _, r := range routes {
		if r.When == nil || allImply(when, r.When) {
			return r
		}
	}
	return nil
}

func (w *shadows) report(n *config.Node, when []*config.Expr, by *config.Node) {
	what := "answered"
	if by.Word == groupWord {
		what = "taken"
	}
	d := w.pass.report(n.Range, "this `%s` can never be reached: what it matches is %s above", n.Word, what)
	label(d, by.Range, "by this one")
	if len(w.site.Addresses) == 0 {
		return
	}
	r := requestTo(w.site, &w.site.Addresses[0])
	for _, e := range when {
		r.satisfy(e)
	}
	for _, e := range also(when, by.When) {
		if eval(e, &r) != yes {
			return
		}
	}
	help(d, "for example %s", r.String())
}
