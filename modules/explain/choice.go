package explain

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// choose looks at whom a pool would choose, with what chance.
func (w *way) choose(p *pool.Pool, ask *balancer.Ask) {
	out := &Pool{Name: p.Name, Balance: "balance roundrobin"}
	body := w.e.poolBody(p.Name)
	variant := "roundrobin"
	if n := config.Last(body, "balance"); n != nil {
		variant = n.Variant
		if !n.Defaulted {
			out.Balance = w.e.line(n)
		}
	}
	if n := config.Last(body, "persist"); n != nil {
		if out.Persist = w.e.line(n); ask.Forced != nil {
			out.Found = ask.Forced.Name
		}
	}
	w.a.Pool = out
	picked, bound := p.Peek(ask)
	chance, why := w.e.chances(p, picked, bound || variant == "first")
	switch {
	case picked != nil && picked == ask.Forced:
		why[picked] = "persistence names it"
	case picked != nil && bound:
		why[picked] = "the hash leads to it"
	case picked != nil && variant == "first":
		why[picked] = "the first one, as long as it is not full"
	}
	for _, s := range p.Servers() {
		out.Servers = append(out.Servers, Server{Name: s.Name, Address: s.Address, Weight: s.Weight, Chance: chance[s], Why: why[s]})
	}
	if picked == nil {
		w.a.Outcome, w.a.Status, w.a.Reason = Answered, 503, "no usable server"
	}
}

func (e *Explainer) poolBody(name string) []config.Node {
	for i := range e.cfg.Pools {
		if e.cfg.Pools[i].Name == name {
			return e.cfg.Pools[i].Body
		}
	}
	return nil
}

// chances gives each server's part, and why those that have none have none. Where
// the choice is not bound to one server the parts are those of the weights, which
// every other algorithm keeps to while the servers are equally busy.
func (e *Explainer) chances(p *pool.Pool, picked *upstream.Server, bound bool) (map[*upstream.Server]float64, map[*upstream.Server]string) {
	chance, why := map[*upstream.Server]float64{}, map[*upstream.Server]string{}
	total := 0
	candidates := map[*upstream.Server]int{}
	for _, s := range p.Candidates() {
		candidates[s] = e.share(s)
		total += candidates[s]
	}
	for _, s := range p.Servers() {
		share, candidate := candidates[s]
		switch {
		case bound && s == picked:
			chance[s] = 1
		case !candidate:
			why[s] = e.absence(s)
		case !bound && total > 0 && picked != nil:
			chance[s] = float64(share) / float64(total)
		}
	}
	return chance, why
}

// absence tells why a server takes no part in balancing.
func (e *Explainer) absence(s *upstream.Server) string {
	st, told := e.states[s.Pool+"/"+s.Name]
	down, drained := s.Live.Barred()
	switch {
	case s.Disabled:
		return "disabled"
	case told && !st.Up && st.Why != "":
		return "down: " + st.Why
	case !s.Up() || down:
		return "down"
	case s.Weight == 0:
		return "weight 0: takes only clients that it had before"
	case told && !st.Usable:
		return "out of rotation for now"
	case drained:
		return "drained"
	case s.Backup:
		return "backup: for when no other is left"
	default:
		return "not usable"
	}
}
