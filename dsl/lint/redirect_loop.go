package lint

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var redirectLoop = &Rule{Name: "redirect-loop", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		for i := range s.Body {
			n := &s.Body[i]
			if n.Word != "redirect" {
				continue
			}
			for j := range s.Addresses {
				if r, ok := p.redirectsToItself(s, n, &s.Addresses[j]); ok {
					d := p.report(n.Range, "this `redirect` sends clients back to itself, again and again")
					help(d, "%s is sent to %s", r.String(), r.String())
					break
				}
			}
		}
	})
}}

// redirectsToItself makes a request that the redirect takes, and looks whether it
// is sent to where it was.
func (p *Pass) redirectsToItself(s *config.Site, n *config.Node, a *config.Address) (request, bool) {
	r := requestTo(s, a)
	if n.When != nil {
		r.satisfy(n.When)
	}
	if strings.ContainsAny(n.Text(0), "?") || r.query != "" || eval(n.When, &r) != yes || p.follow(s, before(s.Body, n), &r) != falls {
		return r, false
	}
	to := strings.NewReplacer("{http.host}", r.host, "{http.uri}", r.path, "{http.path}", r.path, "{http.scheme}", r.scheme,
		"{http.authority}", r.host+":"+strconv.Itoa(int(r.port))).Replace(n.Text(0))
	u, err := url.Parse(to)
	if err != nil || strings.Contains(to, "{") || u.Path != r.path {
		return r, false
	}
	if u.Host == "" && u.Scheme == "" {
		return r, true
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return r, u.Scheme == r.scheme && strings.EqualFold(u.Hostname(), r.host) && port == strconv.Itoa(int(r.port))
}

// before gives the directives above one.
func before(body []config.Node, n *config.Node) []config.Node {
	for i := range body {
		if &body[i] == n {
			return body[:i]
		}
	}
	return nil
}
