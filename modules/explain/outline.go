package explain

import (
	"cmp"
	"slices"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
)

// Outline is the graph of a configuration, for pictures.
type Outline struct {
	Listeners []OutListener `json:"listeners"`
	Sites     []OutSite     `json:"sites"`
	Pools     []OutPool     `json:"pools"`
}

// OutListener is a socket.
type OutListener struct {
	Network string   `json:"network"`
	Address string   `json:"address"`
	TLS     bool     `json:"tls"`
	Sites   []string `json:"sites"`
}

// OutSite is a site with its directives that act on traffic.
type OutSite struct {
	Name      string     `json:"name"`
	Addresses []string   `json:"addresses"`
	Stream    bool       `json:"stream"`
	At        string     `json:"at"`
	Routes    []OutRoute `json:"routes"`
}

// OutRoute is one directive.
type OutRoute struct {
	Text  string `json:"text"`
	Depth int    `json:"depth,omitempty"`
	Pool  string `json:"pool,omitempty"`
}

// OutPool is a pool.
type OutPool struct {
	Name    string      `json:"name"`
	Balance string      `json:"balance"`
	Health  []string    `json:"health,omitempty"`
	Persist string      `json:"persist,omitempty"`
	Servers []OutServer `json:"servers"`
}

// OutServer is a server.
type OutServer struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Weight  int    `json:"weight"`
	Notes   string `json:"notes,omitempty"`
}

// Outline draws up the graph.
func (e *Explainer) Outline() *Outline {
	o := &Outline{}
	order := map[string]int{}
	for i := range e.cfg.Sites {
		s := &e.cfg.Sites[i]
		order[s.Name] = i
		out := OutSite{Name: s.Name, Stream: s.TCP, At: s.Range.String()}
		for _, a := range s.Addresses {
			out.Addresses = append(out.Addresses, a.Text)
		}
		e.outRoutes(&out, s.Body, 0)
		o.Sites = append(o.Sites, out)
	}
	for _, l := range e.graph.Listeners {
		out := OutListener{Network: l.Network, Address: l.Address, TLS: l.Secure(), Sites: []string{}}
		for name := range l.Sites() {
			out.Sites = append(out.Sites, name)
		}
		slices.SortFunc(out.Sites, func(a, b string) int { return cmp.Compare(order[a], order[b]) })
		o.Listeners = append(o.Listeners, out)
	}
	for i := range e.cfg.Pools {
		o.Pools = append(o.Pools, e.outPool(&e.cfg.Pools[i]))
	}
	return o
}

func (e *Explainer) outRoutes(s *OutSite, body []config.Node, depth int) {
	for i := range body {
		n := &body[i]
		if !e.routing(n) || n.Defaulted {
			continue
		}
		r := OutRoute{Text: e.line(n), Depth: depth}
		if n.Word == "proxy" {
			r.Pool = n.Text(0)
		}
		s.Routes = append(s.Routes, r)
		if n.Word == "handle" {
			e.outRoutes(s, n.Body, depth+1)
		}
	}
}

func (e *Explainer) outPool(p *config.Pool) OutPool {
	out := OutPool{Name: p.Name, Balance: "roundrobin", Servers: []OutServer{}}
	if n := config.Last(p.Body, "balance"); n != nil {
		out.Balance = strings.TrimSpace(strings.TrimPrefix(e.line(n), "balance"))
	}
	for _, n := range config.Find(p.Body, "health") {
		out.Health = append(out.Health, n.Variant)
	}
	if n := config.Last(p.Body, "persist"); n != nil {
		out.Persist = strings.TrimSpace(n.Variant + " " + n.Text(0))
	}
	for _, s := range e.graph.Pools[p.Name].Servers() {
		var notes []string
		if s.Backup {
			notes = append(notes, "backup")
		}
		if s.Disabled {
			notes = append(notes, "disabled")
		}
		out.Servers = append(out.Servers, OutServer{s.Name, s.Address, s.Weight, strings.Join(notes, ", ")})
	}
	return out
}

// facts says in a few words how a pool works.
func (p *OutPool) facts() string {
	out := p.Balance
	if len(p.Health) > 0 {
		out += ", health " + strings.Join(p.Health, " and ")
	}
	if p.Persist != "" {
		out += ", persist " + p.Persist
	}
	return out
}

// text gives a server in one line.
func (s *OutServer) text() string {
	out := s.Name + "  " + s.Address
	if s.Weight != 1 {
		out += "  weight " + itoa(s.Weight)
	}
	if s.Notes != "" {
		out += "  " + s.Notes
	}
	return out
}
