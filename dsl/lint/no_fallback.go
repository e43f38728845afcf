package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var noFallback = &Rule{Name: "no-fallback", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		if len(s.Addresses) == 0 {
			return
		}
		r, ok := p.unanswered(s)
		if !ok {
			return
		}
		if s.TCP {
			d := p.report(s.Addresses[0].Range, "not every stream is taken by a route of this site")
			help(d, "%s is closed at once", r.String())
			help(d, "end the site with a `proxy` or a `deny` that has no matcher")
			return
		}
		d := p.report(s.Addresses[0].Range, "not every request is answered by a route of this site")
		help(d, "%s gets a 503", r.String())
		help(d, "end the site with a directive that has no matcher: `proxy POOL`, `respond 404`, `redirect …`")
	})
}}

// unanswered finds a request that surely falls through a site.
func (p *Pass) unanswered(s *config.Site) (request, bool) {
	for i := range s.Body {
		if n := &s.Body[i]; n.When == nil && p.answering(s, n) {
			return request{}, false // the usual case, at once
		}
	}
	plain := requestTo(s, &s.Addresses[0])
	tries := []request{plain, plain, plain}
	if s.TCP {
		tries[1].sni = "www.example.net"
		tries[2].alpn = "h2"
	} else {
		tries[1].path = "/x"
		tries[2].method, tries[2].path = "POST", "/x/y"
	}
	for _, r := range tries {
		first := r
		if p.follow(s, s.Body, &r) == falls {
			return first, true
		}
	}
	return request{}, false
}
