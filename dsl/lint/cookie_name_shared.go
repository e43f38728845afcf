package lint

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var cookieNameShared = &Rule{Name: "cookie-name-shared", Severity: diag.Warning, check: func(p *Pass) {
	type key struct {
		site *config.Site
		name string
	}
	first := map[key]*config.Node{}
	for i := range p.Config.Pools {
		pool := &p.Config.Pools[i]
		n := persistCookie(pool)
		if n == nil || n.Has("hide") {
			continue
		}
		for _, u := range p.users[pool.Name] {
			k := key{u.site, n.Text(0)}
			before := first[k]
			if before == nil {
				first[k] = n
				continue
			}
			if before == n {
				continue
			}
			d := p.report(n.Args[0].Range, "two pools of %s keep their clients by the cookie %s, and each overwrites the other's", u.site.Name, n.Text(0))
			label(d, before.Args[0].Range, "the other one")
			help(d, "give each pool a cookie name of its own")
		}
	}
}}

// persistCookie gives the pool's `persist cookie`, nil if it has none.
func persistCookie(pool *config.Pool) *config.Node {
	if n := config.Last(pool.Body, "persist"); n != nil && n.Variant == "cookie" && len(n.Args) > 0 {
		return n
	}
	return nil
}
