package graph

import (
	"cmp"
	"maps"
	"slices"

	"github.com/loadstar-lb/loadstar/logging"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/certs"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/trace"
)

// Census describes the graph's sites and pools, at the flow.Now of now.
func (g *Graph) Census(c *census.Census, now int64) {
	c.Sites = make([]census.Site, 0, len(g.gates))
	for _, l := range g.gates {
		c.Sites = append(c.Sites, l.census(now))
	}
	c.Pools = make([]census.Pool, 0, len(g.Pools))
	for _, name := range slices.Sorted(maps.Keys(g.Pools)) {
		c.Pools = append(c.Pools, poolCensus(g.Pools[name], now))
		c.Pools[len(c.Pools)-1].TCP = g.carriers[g.Pools[name]] == nil
	}
}

func (l *limited) census(now int64) census.Site {
	g, t := l.gate, &l.gate.Traffic
	s := census.Site{
		Name: l.cfg.Name, TCP: l.cfg.TCP, Limit: g.Most(), Active: g.Inside(), Waiting: g.Waiting(),
		Counts: t.Counts(), Rates: census.RatesOf(t, now), Traffic: t,
	}
	for i := range l.cfg.Addresses {
		s.Addresses = append(s.Addresses, l.cfg.Addresses[i].Text)
	}
	return s
}

func poolCensus(p *pool.Pool, now int64) census.Pool {
	l := p.Live()
	out := census.Pool{
		Name: p.Name, Balance: p.Algorithm, Active: l.Active(), Queued: l.Queued(), QueueSize: p.QueueSize(),
		Servers: make([]census.Server, 0, len(p.Servers())),
		Tries:   census.TriesOf(l), Counts: l.Traffic.Counts(), Rates: census.RatesOf(&l.Traffic, now), Live: l,
	}
	out.Usable, out.Backups = p.Usable()
	for _, s := range p.Servers() {
		v := census.ServerOf(s, now)
		v.Probing.Rise, v.Probing.Fall, v.Probing.Counter = p.Probing(s)
		v.Probing.Follows = p.Follows(s)
		out.Servers = append(out.Servers, v)
	}
	return out
}

// Census describes what outlives configurations: certificates and log sinks.
func (s *Shared) Census(c *census.Census) {
	c.Certificates, c.Sinks = []census.Certificate{}, []census.Sink{}
	s.Certs.Each(func(_ certs.Key, src certs.Source) {
		l, ok := src.(certs.Lister)
		if !ok {
			return
		}
		for _, e := range l.Expiries() {
			v := census.Certificate{Names: e.Names, Serial: e.Serial, Until: e.Until, Problem: e.Problem}
			if len(e.Names) > 0 {
				v.Name = e.Names[0]
			}
			c.Certificates = append(c.Certificates, v)
		}
	})
	slices.SortFunc(c.Certificates, func(a, b census.Certificate) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Serial, b.Serial))
	})
	// Two sites may name the same file in different company.
	c.Certificates = slices.CompactFunc(c.Certificates, func(a, b census.Certificate) bool {
		return a.Name == b.Name && a.Serial == b.Serial
	})
	s.Sinks.Each(func(k logging.Key, sink logging.Sink) {
		st := sink.Stats()
		c.Sinks = append(c.Sinks, census.Sink{Name: sinkName(k), Delivered: st.Delivered, Dropped: st.Dropped, Held: st.Held})
	})
	c.Traces = []census.Sink{}
	s.Traces.Each(func(k trace.Key, e *trace.Exporter) {
		st := e.Stats()
		c.Traces = append(c.Traces, census.Sink{Name: k.String(), Delivered: st.Delivered, Dropped: st.Dropped, Held: st.Held})
	})
	slices.SortFunc(c.Traces, func(a, b census.Sink) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Sinks, func(a, b census.Sink) int { return cmp.Compare(a.Name, b.Name) })
}

// sinkName tells sinks apart that have the same target.
func sinkName(k logging.Key) string {
	name := k.String()
	for _, s := range []string{k.Facility, k.Tag, k.Options} {
		if s != "" {
			name += " " + s
		}
	}
	return name
}
