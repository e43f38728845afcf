package pool

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/persistence"
)

// affinity makes what `persist` says.
func (b *builder) affinity() {
	n := config.Last(b.cfg.Body, "persist")
	b.idleCookies(n)
	if n == nil {
		return
	}
	word := persistWord()
	full := *n
	complete(&full, &word)
	for _, m := range persistence.Modules() {
		if m.Spec.Name != n.Variant {
			continue
		}
		a, err := m.New(&full, &persistence.Env{
			Pool: b.cfg.Name, Servers: b.p.servers, Named: b.deps.Tables, Table: b.deps.Table, Warnings: &b.errs,
		})
		if err != nil {
			b.errs.Add(n.Range, "bad-persist", "%s", err)
			return
		}
		b.p.Affinity, b.p.Persist = a, n.Range
		return
	}
	b.errs.Add(n.Range, "bad-persist", "unknown persistence %q", n.Variant)
}

// idleCookies warns of cookie values that nothing reads.
func (b *builder) idleCookies(n *config.Node) {
	if n != nil && n.Variant == "cookie" {
		return
	}
	for _, s := range b.p.servers {
		if s.Cookie != "" {
			d := b.errs.Add(s.Range, "cookie-unused", "server %s has a cookie value, but its pool has no `persist cookie`", s.Name)
			d.Severity = diag.Warning
		}
	}
}
