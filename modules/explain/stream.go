package explain

import (
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/graph"
	"github.com/loadstar-lb/loadstar/modules/handler"
	"github.com/loadstar-lb/loadstar/modules/persistence"
)

// stream shows a stream to the routes of its site.
func (w *way) stream(site *graph.StreamSite) {
	w.note(site.Name)
	if w.t.scheme == "http" {
		w.a.Notes = append(w.a.Notes, "the site is tcp: it does not see the request")
	}
	asked := 0
	done := site.Walk(w.conn, func(r *graph.StreamRoute, taken bool) bool {
		asked++
		out := Route{Text: w.e.line(r.Node), At: r.Node.Range.String(), Taken: taken}
		if r.Node.When != nil {
			out.Condition = w.e.condition(r.Node.When, looker{c: w.conn})
		}
		if taken {
			if p, ok := r.Handler.(*handler.StreamProxy); ok {
				out.Effect = "proxies to " + p.Pool.Name
				w.proxyStream(p)
			} else {
				out.Effect = "closes the stream"
				w.a.Outcome, w.a.Reason = Closed, "denied"
			}
		}
		w.a.Routes = append(w.a.Routes, out)
		return taken
	})
	if !done {
		w.a.Outcome, w.a.Reason = Closed, "no route takes it"
		return
	}
	routes := 0
	for _, n := range w.body(site.Name) {
		if w.e.routing(&n) {
			routes++
		}
	}
	w.a.NotAsked = max(0, routes-asked)
}

func (w *way) proxyStream(p *handler.StreamProxy) {
	ask := balancer.Ask{Client: w.conn.Client.Addr(), Priority: p.Priority}
	x := &flow.Exchange{}
	x.Begin(w.conn, nil)
	if a := p.Pool.Affinity; a != nil {
		ask.Forced = a.Find(x, new(persistence.Visit))
	}
	if p.Pool.Needs() == balancer.NeedsExchange {
		ask.Exchange = x
	}
	w.a.Outcome = Proxied
	w.choose(p.Pool, &ask)
}
