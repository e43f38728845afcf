package pool

import (
	"errors"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

func (b *builder) policy() {
	word := balanceWord()
	n := directive(b.cfg.Body, &word)
	for _, m := range balancer.Modules() {
		if m.Spec.Name == n.Variant {
			b.newPolicy(&m, n)
			return
		}
	}
	b.errs.Add(n.Range, "bad-balance", "unknown algorithm %q", n.Variant)
}

func (b *builder) newPolicy(m *balancer.Module, n *config.Node) {
	policy, err := m.New(n)
	if err != nil {
		var d diag.Diagnostic
		if !errors.As(err, &d) {
			d = diag.Diagnostic{Range: n.Range, Rule: "bad-balance", Message: err.Error()}
		}
		b.errs = append(b.errs, d)
		return
	}
	b.p.policy, b.p.Balance, b.p.Algorithm = policy, n.Range, n.Variant
	b.p.bodies, _ = policy.(balancer.BodyPolicy)
	if n.Variant == "first" {
		b.firstNeedsMaxconn(n)
	}
	b.somebodyUsable()
}

// firstNeedsMaxconn warns where `first` would never come to the servers behind one
// that is never full.
func (b *builder) firstNeedsMaxconn(n *config.Node) {
	var endless *upstream.Server
	for _, s := range b.p.servers {
		switch {
		case s.Disabled || s.Backup || s.Weight == 0:
		case endless != nil:
			d := b.errs.Add(n.Range, "first-without-maxconn", "server %s is never chosen while %s is up, which has no maxconn", s.Name, endless.Name)
			d.Severity = diag.Warning
			d.Labels = append(d.Labels, diag.Label{Range: endless.Range, Message: "this one is never full"})
			return
		case s.Maxconn == 0:
			endless = s
		}
	}
}

// somebodyUsable warns of a pool that can serve nobody as it is written.
func (b *builder) somebodyUsable() {
	for _, s := range b.p.servers {
		if !s.Disabled && s.Weight > 0 {
			return
		}
	}
	if len(b.p.servers) > 0 {
		d := b.errs.Add(b.cfg.Range, "no-usable-server", "no server of pool %s can be chosen: each is disabled or has the weight 0", b.p.Name)
		d.Severity = diag.Warning
	}
}

// Needs tells what the pool's `balance` must be shown.
func (p *Pool) Needs() balancer.Need {
	if k, ok := p.policy.(balancer.Keyed); ok {
		return k.Needs()
	}
	return balancer.NeedsNothing
}

// BodyLimit gives how many bytes of the request's body are to be waited for before
// Acquire and put into Ask.Body, at most; 0: none.
func (p *Pool) BodyLimit(x *flow.Exchange) int {
	if p.bodies == nil {
		return 0
	}
	return p.bodies.BodyLimit(x)
}

// Observe notes that a try whose slot was had at since (flow.Now) has ended, and
// whether well. It is for those who go by latency; for others it costs a look.
func (p *Pool) Observe(s *upstream.Server, since int64, ok bool) {
	if w := p.set.Load().watch; w != nil {
		w.Observe(s, time.Duration(flow.Now()-since), ok)
	}
}
